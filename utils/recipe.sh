# What every run.sh begins with: enter the recipe, make or enter the environment, read the options, define `stage`.
# Plain bash 3.2 (macOS has no newer one).  Sets: corpus data config tag exp overrides; `stage` adds the other options.

called_from=$PWD
cd "$(dirname "$0")" || exit 1
root=$(cd ../../.. && pwd)

recipe_help() {
  sed -n '2s/^# //p' run.sh
  cat <<'EOF'

  --corpus FOLDER     the corpus as its makers publish it; default: mini, made on the spot; `download` where anyone may fetch it
  --config FILE       below the recipe; default: conf/mini.yaml with the mini corpus, conf/paper.yaml with a real one
  --tag NAME          the experiment is kept in exp/NAME; default: named after the config and the overrides
  --stage S           begin with stage S, a number or a name          --stop-stage S   end with it
  --list              show every stage: state, what it reads, what it writes
  --data FOLDER       where everything prepared goes, relative to the recipe; default: ../data/ and the name of the corpus's folder
  --force             run stages although nothing has changed
  --nj N              parallel processes on the CPU                    --device D       auto, cpu, cuda, cuda:N
  --ngpu N            GPUs to train on                                 --debug          tracebacks, more log lines
  --launcher slurm    prepare, features, train, infer and score as jobs of a cluster, see utils/cluster.yaml
  --dry-run           with it: print what would be submitted
  --SECTION.KEY VALUE override any value of the config, e.g. --train.epochs 5, --model.separator DPRNN

Stages:
EOF
  sed -n 's/^stage \([0-9]\) \([a-z]*\) .*/  \1 \2/p' run.sh
}

recipe_number() { # stage name or number -> number
  case $1 in
    [1-7]) echo "$1" ;;
    *) sed -n "s/^stage \([0-9]\) $1 .*/\1/p" run.sh | grep . || { echo "run.sh: no stage is called '$1'. Next: ./run.sh --help" >&2; exit 2; } ;;
  esac
}

corpus=mini config='' tag='' data='' first=1 last=7 list='' overrides=() of_data=() common=() workers=() hardware=() gpus=() launcher=() dry='' name=''
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h) recipe_help; exit 0 ;;
    --list) list=yes; shift; continue ;;
    --dry-run) dry=yes; launcher+=(--dry-run); shift; continue ;;
    --force | --debug) common+=("$1"); shift; continue ;;
  esac
  option=$1
  case $1 in
    --*=*) value=${1#*=}; option=${1%%=*}; shift ;;
    --*) [ $# -gt 1 ] || { echo "run.sh: $1 needs a value. Next: ./run.sh --help" >&2; exit 2; }
         value=$2; shift 2 ;;
    *) echo "run.sh: expected an option, found '$1'. Next: ./run.sh --help" >&2; exit 2 ;;
  esac
  [[ $option != --data.* ]] || of_data+=("$option" "$value") # the manifests that are named there must be prepared
  case $option in
    --corpus) corpus=$value; [ ! -d "$called_from/$value" ] || corpus=$(cd "$called_from/$value" && pwd) ;;
    --config) config=$value ;;
    --tag) tag=$value
           case $tag in
             */* | .*) echo "run.sh: --tag: expected a plain name, found '$tag'. Next: ./run.sh --help" >&2; exit 2 ;;
           esac ;;
    --data) data=$value ;;
    --stage) first=$(recipe_number "$value") || exit 2 ;;
    --stop-stage | --stop_stage) last=$(recipe_number "$value") || exit 2 ;;
    --nj) workers=(--nj "$value") ;;
    --device) hardware=(--device "$value") ;;
    --ngpu) gpus=(--ngpu "$value") ;;
    --launcher) launcher+=(--launcher "$value") ;;
    --*.* | --model | --loss | --optimizer | --schedule) overrides+=("$option" "$value"); option=${option#--*.}; name=${name}_${option#--}-$(printf %s "$value" | tr -c 'A-Za-z0-9.' -) ;;
    *) echo "run.sh: no option $option. Next: ./run.sh --help" >&2; exit 2 ;;
  esac
done
[ "$first" -le "$last" ] || {
  echo "run.sh: expected --stop-stage to be --stage or a later one, found $last before $first. Next: ./run.sh --help" >&2
  exit 2
}

if [ "$corpus" = mini ]; then
  : "${config:=conf/mini.yaml}" "${data:=../data/mini}"
else
  : "${config:=conf/paper.yaml}" "${data:=../data/$(basename "$corpus")}"
fi
config_name=$(basename "$config" .yaml)
: "${tag:=$config_name$name}"
exp=exp/$tag

"$root/tools/install.sh" --quiet || exit
PATH=$root/.venv/bin:$PATH

stage() { # stage NUMBER NAME COMMAND...
  number=$1 title=$2
  shift 2
  [ "$number" -ge "$first" ] && [ "$number" -le "$last" ] || return 0
  case $title in
    prepare) set -- "$@" ${of_data[@]+"${of_data[@]}"} ${workers[@]+"${workers[@]}"} ;;
    score) set -- "$@" ${workers[@]+"${workers[@]}"} ;;
    features | infer) set -- "$@" ${hardware[@]+"${hardware[@]}"} ;;
    train) set -- "$@" ${hardware[@]+"${hardware[@]}"} ${gpus[@]+"${gpus[@]}"} ;;
  esac
  case $title in
    fetch | report) [ -z "$dry" ] || return 0 ;; # of which nothing is submitted
    *) set -- "$@" ${launcher[@]+"${launcher[@]}"} ;;
  esac
  if [ -n "$list" ]; then
    printf '%s ' "$number"
    "$@" --status || exit
    return 0
  fi
  printf '\n== %s %s\n' "$number" "$title" >&2
  "$@" ${common[@]+"${common[@]}"} || exit
}
