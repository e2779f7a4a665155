#!/usr/bin/env bash
# Resilient multiple choice learning on a square (Letzelter et al. 2023).  Options: ./run.sh --help
. "$(dirname "$0")/../../../utils/recipe.sh"     # enters the recipe, makes or enters the environment, reads the options

stage 1 fetch    toolkit fetch    quadrants --corpus "$corpus" --data "$data"
stage 2 prepare  toolkit prepare  quadrants --corpus "$corpus" --data "$data" --config "$config"
stage 3 features toolkit features --data "$data" --config "$config" "${overrides[@]}"
stage 4 train    toolkit train    --config "$config" --data "$data" --exp "$exp" "${overrides[@]}"
stage 5 infer    toolkit infer    --exp "$exp" --data "$data" --split test
stage 6 score    toolkit score    --exp "$exp" --data "$data" --split test
stage 7 report   toolkit report   --exp "$exp" --data "$data" --paper paper.yaml
