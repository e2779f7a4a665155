#!/usr/bin/env bash
# Annealed multiple choice learning of three normal distributions (Perera, Letzelter et al. 2024).  Options: ./run.sh --help
. "$(dirname "$0")/../../../utils/recipe.sh"     # enters the recipe, makes or enters the environment, reads the options

stage 1 fetch    toolkit fetch    three_gaussians --corpus "$corpus" --data "$data"
stage 2 prepare  toolkit prepare  three_gaussians --corpus "$corpus" --data "$data" --config "$config"
stage 3 features toolkit features --data "$data" --config "$config" "${overrides[@]}"
stage 4 train    toolkit train    --config "$config" --data "$data" --exp "$exp" "${overrides[@]}"
stage 5 infer    toolkit infer    --exp "$exp" --data "$data" --split test
stage 6 score    toolkit score    --exp "$exp" --data "$data" --split test
stage 7 report   toolkit report   --exp "$exp" --data "$data" --paper paper.yaml
