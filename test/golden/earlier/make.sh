#!/usr/bin/env bash
# Writes what versions of the past leave on disk: adapters of every method, a certificate, the events of runs, and the losses that they had.
# Run once by the version whose files are to stay readable, from the root of its checkout: bash test/golden/earlier/make.sh [checkout of a version with format 1]
set -euo pipefail
here=test/golden/earlier model=test/golden/llama-tiny
partensor() { node --import tsx src/cli/main.ts "$@"; }
finetune() {
  local name=$1; shift
  rm -rf "$here/$name"
  partensor finetune --model $model --data $here/rows.jsonl --eval $here/rows.jsonl --target wasm --threads 1 --steps 3 --lr 3e-2 \
    --target-modules q_proj,down_proj --seed 1 --json --out "$here/$name" "$@" > "$here/$name.events.jsonl"
}
finetune paca --rank 4 --save-optimizer
finetune paca-nf4 --rank 4 --quantize nf4
finetune paca-whole --rank 2 --modules-to-save norm
for method in lora dora moslora lorafa miss; do finetune $method --method $method --rank 2; done
finetune shira --method shira --rank 1
finetune vera --method vera --rank 4
finetune full --method full --target-modules q_proj
rm -rf $here/verified
partensor verify --model $model --data $here/rows.jsonl --target wasm --threads 1 --rank 4 --target-modules lm_head --rows 4 --steps 3 --out $here/verified > /dev/null
rm -f $here/verified/*.svg
if [ $# -gt 0 ]; then
  for method in paca full; do
    (cd "$1" && mkdir -p $here && rm -rf $here/v1-$method && cp "$OLDPWD/$here/rows.jsonl" $here/ && node --import tsx src/cli/main.ts finetune --model $model --data $here/rows.jsonl --eval $here/rows.jsonl \
      --target wasm --threads 1 --steps 3 --lr 3e-2 --target-modules q_proj --seed 1 --method $method $([ $method = paca ] && echo --rank 4) --json --out $here/v1-$method > $here/v1-$method.events.jsonl)
    rm -rf $here/v1-$method && cp -r "$1/$here/v1-$method" "$1/$here/v1-$method.events.jsonl" $here/
  done
fi
# one more step on from each adapter, and the loss of each as it is
for adapter in $here/*/adapter_config.json; do
  name=$(basename "$(dirname "$adapter")")
  quantize=(); if [ "$name" = paca-nf4 ]; then quantize=(--quantize nf4); fi
  out=$(mktemp -d)
  partensor evaluate --model $model --data $here/rows.jsonl --target wasm --threads 1 --adapter $here/"$name" "${quantize[@]}" --json > "$out/loss"
  partensor finetune --model $model --data $here/rows.jsonl --target wasm --threads 1 --adapter $here/"$name" --steps 2 --lr 1e-2 --no-shuffle --json \
    --out "$out/next" > "$out/next.jsonl"
  NAME=$name node -e '
    const fs = require("fs"), [, dir] = process.argv, lines = file => fs.readFileSync(dir + file, "utf8").trim().split("\n").map(line => JSON.parse(line))
    const { loss, tokens } = lines("/loss").at(-1), next = lines("/next.jsonl").filter(({ event }) => event === "step").map(step => step.loss)
    console.log(JSON.stringify({ adapter: process.env.NAME, loss, tokens, next }))' "$out"
  rm -rf "$out"
done > $here/losses.jsonl
