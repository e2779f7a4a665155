#!/usr/bin/env bash
# LoRA-MCL on mixtures of Markov chains (Letzelter et al. 2025).  Options: ./run.sh --help
. "$(dirname "$0")/../../../utils/recipe.sh"     # enters the recipe, makes or enters the environment, reads the options

stage 1 fetch    toolkit fetch    markov_mixtures --corpus "$corpus" --data "$data"
stage 2 prepare  toolkit prepare  markov_mixtures --corpus "$corpus" --data "$data" --config "$config"
stage 3 features toolkit features --data "$data" --config "$config" "${overrides[@]}"
stage 4 train    toolkit train    --config "$config" --data "$data" --exp "$exp" "${overrides[@]}"
stage 5 infer    toolkit infer    --exp "$exp" --data "$data" --split test
stage 6 score    toolkit score    --exp "$exp" --data "$data" --split test
stage 7 report   toolkit report   --exp "$exp" --data "$data" --paper paper.yaml
