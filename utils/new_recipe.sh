#!/usr/bin/env bash
# Begin a recipe: utils/new_recipe.sh CORPUS NAME "Title, authors and year", e.g.
#   utils/new_recipe.sh wsj0_mix sudo_rm_rf "SuDoRM-RF on WSJ0-mix (Tzinis et al. 2020)."
set -e
[ $# -eq 3 ] || { sed -n '2,3s/^# //p' "$0" >&2; exit 2; }
cd "$(dirname "$0")/.."
corpus=$1 name=$2
title=$(printf %s "$3" | sed 's/[\\&|]/\\&/g') # which mean something to sed where it puts the title in
recipe=egs/$corpus/$name
[ -f "toolkit/corpora/$corpus.py" ] || {
  echo "new_recipe.sh: no corpus is called '$corpus'; known: $(cd toolkit/corpora && ls | sed -n 's/^\([a-z].*\)\.py$/\1/p' | tr '\n' ' ')" >&2
  exit 2
}
case $name in
  *[!a-z0-9_]* | "") echo "new_recipe.sh: expected NAME of a-z, 0-9 and _, found '$name'" >&2; exit 2 ;;
esac
[ ! -e "$recipe" ] || { echo "new_recipe.sh: $recipe is there already" >&2; exit 2; }
mkdir -p "$recipe/conf"
for file in run.sh README.md paper.yaml conf/paper.yaml conf/mini.yaml; do
  sed -e "s|@CORPUS@|$corpus|g" -e "s|@NAME@|$name|g" -e "s|@TITLE@|$title|g" "egs/TEMPLATE/$file" > "$recipe/$file"
done
chmod +x "$recipe/run.sh"
echo "made $recipe. Next: fill in conf/paper.yaml and paper.yaml, then $recipe/run.sh"
