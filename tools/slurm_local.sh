#!/usr/bin/env bash
# A real Slurm of two nodes on this one machine, for trying `--launcher slurm` and for the tests marked `slurm`.
#   tools/slurm_local.sh install [SECS]   Debian's packages slurm-wlm and munge (only as root); given up after so many seconds
#   eval "$(tools/slurm_local.sh start)"  munged, slurmctld and two slurmd; the shell knows where it is by $SLURM_CONF
#   tools/slurm_local.sh stop             end them
# Configuration, keys, logs and state are in one folder ($SLURM_LOCAL; default: /tmp/slurm_local.<user>); nothing of the system's
# own Slurm is read or changed.  No root is needed to start it.
set -e
folder=${SLURM_LOCAL:-/tmp/slurm_local.$(id -un)}
export SLURM_CONF=$folder/slurm.conf PATH=$PATH:/usr/sbin:/sbin
daemons="slurmd.here1 slurmd.here2 slurmctld munged"

say() { echo "slurm_local.sh: $*" >&2; }

missing() {
  for program in munged slurmctld slurmd sbatch; do
    command -v $program >/dev/null || echo $program
  done
}

install_packages() {
  [ -n "$(missing)" ] || return 0
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || { say "expected root and apt-get. Next: install slurm-wlm and munge yourself"; return 2; }
  limit=${1:-0} # for `timeout`, 0 is none
  code=0
  told=$(mktemp) # a file, no pipe: nobody waits for what apt-get may leave behind
  {
    DEBIAN_FRONTEND=noninteractive timeout -k 5 "$limit" sh -c 'trap : TERM # it waits for apt-get, which may be deaf
      apt-get update -qq && apt-get install -y -qq --no-install-recommends slurm-wlm munge' </dev/null >"$told" 2>&1 || code=$?
  } 2>/dev/null # what the shell says of a `timeout` that was killed too
  case $code in
    0) ;;
    124 | 137) say "apt-get was given up after $limit s" ;;
    *) say "apt-get failed: $({ grep ^E: "$told" || cat "$told"; } | tail -n 1)" ;;
  esac
  rm -f "$told"
  return $code
}

configure() {
  mkdir -p "$folder/state" "$folder/spool"
  chmod 700 "$folder"
  [ -s "$folder/munge.key" ] || { (umask 077 && head -c 1024 /dev/urandom >"$folder/munge.key"); }
  port=$((20000 + $(id -u) % 2000 * 4)) # and the two after it
  cat >"$SLURM_CONF" <<END
ClusterName=local
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$port
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobRequeue=1
KillWait=5
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
NodeName=here[1-2] NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((port + 1)),$((port + 2)) CPUs=4 RealMemory=2000 State=UNKNOWN
PartitionName=local Nodes=ALL Default=YES MaxTime=INFINITE OverSubscribe=NO State=UP
END
}

answers() { timeout 5 sinfo -h -o %t 2>/dev/null | grep -q idle; }

start() {
  [ -z "$(missing)" ] || { say "expected Slurm and munge, found no $(missing | head -n 1). Next: $0 install"; return 2; }
  configure
  if ! answers; then
    stop
    munged --force --key-file "$folder/munge.key" --socket "$folder/munge.socket" --pid-file "$folder/munged.pid" \
      --log-file "$folder/munged.log" --seed-file "$folder/munge.seed"
    slurmctld -c
    slurmd -N here1
    slurmd -N here2
    late=$((SECONDS + 30))
    until answers || [ $SECONDS -ge $late ]; do sleep 0.5; done
    answers || { say "it does not answer; see $folder/*.log"; stop; return 1; }
  fi
  echo "export SLURM_CONF=$SLURM_CONF"
}

stop() {
  for name in $daemons; do
    [ -s "$folder/$name.pid" ] || continue
    pid=$(cat "$folder/$name.pid")
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 20); do kill -0 "$pid" 2>/dev/null || break; sleep 0.25; done
  done
}

case $1 in
  install) install_packages "$2" ;;
  start) start ;;
  stop) stop ;;
  *) sed -n '2,7s/^# //p' "$0" >&2; exit 2 ;;
esac
