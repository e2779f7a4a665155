#!/usr/bin/env bash
# AR-VAE, latent dimensions that follow attributes, on Bach's chorales (Pati & Lerch 2020).  Options: ./run.sh --help
. "$(dirname "$0")/../../../utils/recipe.sh"     # enters the recipe, makes or enters the environment, reads the options

stage 1 fetch    toolkit fetch    --corpus "$corpus" --data "$data" --config "$config"
stage 2 prepare  toolkit prepare  --corpus "$corpus" --data "$data" --config "$config"
stage 3 features toolkit features --data "$data" --config "$config" "${overrides[@]}"
stage 4 train    toolkit train    --config "$config" --data "$data" --exp "$exp" "${overrides[@]}"
stage 5 infer    toolkit infer    --exp "$exp" --data "$data" --split test
stage 6 score    toolkit score    --exp "$exp" --data "$data" --split test
stage 7 report   toolkit report   --exp "$exp" --data "$data" --paper paper.yaml
