import assert from 'node:assert/strict'
import { cp, mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { gguf } from '../support/archives.ts'
import { goldenRows, partensor, temporary, tiny, writeRows } from '../support/command-line.ts'

const directory = await temporary()
const data = await writeRows(join(directory, 'rows.jsonl'), await goldenRows())

/** A copy of the tiny model with one file changed. */
const model = async (name: string, file: string, change: (content: Buffer) => Buffer | string): Promise<string> => {
  const copy = join(directory, name)
  await mkdir(copy)
  for (const part of ['config.json', 'model.safetensors']) await cp(join(tiny, part), join(copy, part))
  await writeFile(join(copy, file), change(await readFile(join(copy, file))))
  return copy
}
const config = (name: string, fields: Readonly<Record<string, unknown>>): Promise<string> =>
  model(name, 'config.json', content => JSON.stringify({ ...(JSON.parse(content.toString()) as object), ...fields }))
const rows = async (name: string, content: string): Promise<string> => {
  const path = join(directory, name)
  await writeFile(path, content)
  return path
}
/** A copy whose safetensors file has another header. */
const withHeader = (name: string, change: (json: string) => string): Promise<string> =>
  model(name, 'model.safetensors', content => {
    const length = Number(content.readBigUInt64LE(0))
    const json = Buffer.from(change(content.subarray(8, 8 + length).toString()))
    const size = Buffer.alloc(8)
    size.writeBigUInt64LE(BigInt(json.length))
    return Buffer.concat([size, json, content.subarray(8 + length)])
  })

/** Each has a destination of its own: two at a time would refuse each other. */
let runs = 0
const finetune = (...args: readonly string[]): readonly string[] => [
  'finetune',
  '--model',
  tiny,
  '--data',
  data,
  '--steps',
  '3',
  '--rank',
  '4',
  '--target',
  'wasm',
  '--threads',
  '1',
  '--json',
  '--out',
  join(directory, 'out', String(runs++)),
  ...args,
]

/** The command line, and the expected sentence. */
type Case = readonly [name: string, args: () => Promise<readonly string[]> | readonly string[], says: RegExp]
const cases: readonly Case[] = [
  ['a missing model', () => finetune('--model', 'nowhere'), /^partensor: nowhere: no such file or directory$/],
  [
    'a truncated model file',
    async () => finetune('--model', await model('short', 'model.safetensors', b => b.subarray(0, 300_000))),
    /short.model\.safetensors: .*\d+ bytes/,
  ],
  [
    'a header longer than the file',
    async () =>
      finetune(
        '--model',
        await model('long', 'model.safetensors', b => {
          b.writeBigUInt64LE(2n ** 62n, 0)
          return b
        }),
      ),
    /the header claims 4611686018427387904 bytes/,
  ],
  [
    'lying offsets',
    async () =>
      finetune(
        '--model',
        await withHeader('offsets', json => json.replace(/"data_offsets":\[\d+,/, '"data_offsets":[8,')),
      ),
    /offsets.model\.safetensors: tensor/,
  ],
  [
    'lying sizes',
    async () => finetune('--model', await withHeader('sizes', json => json.replace(/\[320, ?64\]/, '[32000000,64]'))),
    /sizes.model\.safetensors: tensor lm_head\.weight/,
  ],
  [
    'an unknown quantization',
    async () => {
      const embedding = { name: 'token_embd.weight', sizes: [32, 32], type: 99, data: Buffer.alloc(4096) }
      const file = gguf.file([gguf.string('general.architecture', 'llama')], [embedding])
      await writeFile(join(directory, 'odd.gguf'), file)
      return finetune('--model', join(directory, 'odd.gguf'))
    },
    /odd\.gguf: .*(quantization|type).*99/,
  ],
  [
    'a negative size in the config',
    async () => finetune('--model', await config('negative', { hidden_size: -64 })),
    /config\.json: hidden_size is -64: expected/,
  ],
  [
    'a text for a size in the config',
    async () => finetune('--model', await config('texts', { num_hidden_layers: '2' })),
    /config\.json: num_hidden_layers is "2": expected/,
  ],
  [
    'a size of 10¹² in the config',
    async () => finetune('--model', await config('huge', { vocab_size: 1e12 })),
    /config\.json: vocab_size is 1000000000000: expected an integer/,
  ],
  ['a missing data file', () => finetune('--data', 'nowhere.jsonl'), /^partensor: nowhere\.jsonl: no such file/],
  [
    'an empty data file',
    async () => finetune('--data', await rows('empty.jsonl', '\n')),
    /empty\.jsonl: the file is empty$/,
  ],
  [
    'a broken line',
    async () => finetune('--data', await rows('broken.jsonl', '{"input_ids":[1,2]}\n{"input_ids":[1,\n')),
    /broken\.jsonl line 2: it is not valid JSON/,
  ],
  [
    'a wrongly typed line',
    async () => finetune('--data', await rows('typed.jsonl', '{"input_ids":"1 2"}\n')),
    /typed\.jsonl line 1: "input_ids" must be a list of integers$/,
  ],
  [
    'a token outside the vocabulary',
    async () => finetune('--data', await rows('token.jsonl', '{"input_ids":[1,2]}\n{"input_ids":[1,320]}\n')),
    /token\.jsonl line 2: token id 320 is outside the vocabulary, which has 320 tokens$/,
  ],
  [
    'no scored token',
    async () => finetune('--data', await rows('unscored.jsonl', '{"input_ids":[1,2],"labels":[-100,-100]}\n')),
    /unscored\.jsonl: no token in it is scored/,
  ],
  [
    'text without a tokenizer',
    async () => finetune('--data', await rows('text.jsonl', '{"text":"hello"}\n')),
    /text\.jsonl line 1: text needs a tokenizer, and the model has none/,
  ],
  [
    'a broken evaluation file',
    async () => finetune('--eval', await rows('eval.jsonl', '[]\n')),
    /eval\.jsonl line 1: expected a JSON object/,
  ],
  [
    'a rank above the width',
    () => finetune('--rank', '65'),
    /^partensor: rank 65 is above the width of model\.layers\.0\.self_attn\.q_proj, which has 64 columns$/,
  ],
  [
    'an unknown module',
    () => finetune('--target-modules', 'q_proj,w_proj'),
    /is called "w_proj": there are q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, lm_head$/,
  ],
  [
    'a rank for full',
    () => finetune('--method', 'full'),
    /^partensor: --method full trains whole weights: it takes no --rank$/,
  ],
  [
    'a dropout for full',
    () =>
      finetune('--method', 'full', '--dropout', '0.1').filter(
        (word, i, all) => word !== '--rank' && all[i - 1] !== '--rank',
      ),
    /^partensor: --method full trains whole weights: it takes no --dropout$/,
  ],
  [
    'an alpha for PaCA',
    () => finetune('--alpha', '16'),
    /^partensor: --method paca takes no --alpha: lora, dora, moslora, lorafa do$/,
  ],
  [
    'a selection of columns for LoRA',
    () => finetune('--method', 'lora', '--select', 'weight'),
    /^partensor: --method lora takes no --select: paca does$/,
  ],
  [
    'a selection twice',
    () => finetune('--select', 'weight', '--columns', join(tiny, 'paca.safetensors')),
    /^partensor: --columns is a selection already: it goes without --select$/,
  ],
  [
    'selection by gradient over more steps than rows',
    () => finetune('--select', 'gradient'),
    /^partensor: --select gradient looks at 100 steps, and there are 2 rows: give it --select-steps 2 or fewer$/,
  ],
  [
    'an unknown method',
    () => finetune('--method', 'qlora'),
    /^error: option '--method <name>' argument 'qlora' is invalid\. Allowed choices are paca, lora, /,
  ],
  [
    'an unknown selection',
    () => finetune('--select', 'best'),
    /^error: option '--select <how>' argument 'best' is invalid\. Allowed choices are random, weight, gradient\.$/,
  ],
  [
    'an unknown quantization',
    () => finetune('--quantize', 'int8'),
    /^error: option '--quantize <scheme>' argument 'int8' is invalid\. Allowed choices are nf4\.$/,
  ],
  [
    'a dropout of one',
    () => finetune('--method', 'lora', '--dropout', '1'),
    /argument '1' is invalid\. It must be a number from 0 on, below 1\.$/,
  ],
  [
    'a pattern without a number',
    () => finetune('--rank-pattern', 'q_proj'),
    /argument 'q_proj' is invalid\. It must be names with a number each, separated by commas, as q_proj=16\.$/,
  ],
  [
    'a pattern that matches nothing',
    () => finetune('--rank-pattern', 'w_proj=2'),
    /^partensor: rank_pattern: "w_proj" matches no target: there are q_proj, /,
  ],
  [
    'layers that are no numbers',
    () => finetune('--layers', '1-0'),
    /argument '1-0' is invalid\. It must be numbers or ranges, separated by commas, as 0-3,7\.$/,
  ],
  [
    'a layer that there is not',
    () => finetune('--layers', '2'),
    /^partensor: layers_to_transform: there is no layer 2: there are 0, 1$/,
  ],
  [
    'an expression that matches nothing',
    () => finetune('--target-modules', '.*x_proj'),
    /^partensor: target_modules: "\.\*x_proj" leaves no module/,
  ],
  [
    'an unknown module to save',
    () => finetune('--modules-to-save', 'w_head'),
    /^partensor: modules_to_save: no module is called "w_head": there are /,
  ],
  [
    'another method than the adapter has',
    () => finetune('--adapter', join(tiny, 'lora'), '--method', 'paca'),
    /lora: it has method lora, not paca: leave --method out, or say the same$/,
  ],
  [
    'another rank than the adapter has',
    () => finetune('--adapter', join(tiny, 'lora'), '--rank', '8'),
    /lora: it has rank 4, not 8: leave --rank out, or say the same$/,
  ],
  [
    'other modules than the adapter has',
    () => finetune('--adapter', join(tiny, 'vera'), '--rank', '16', '--target-modules', 'k_proj'),
    /vera: it has target modules .*, not k_proj: leave --target-modules out/,
  ],
  [
    'a selection for an adapter that selects nothing',
    () => finetune('--adapter', join(tiny, 'lora'), '--select', 'weight'),
    /^partensor: --method lora takes no --select: paca does$/,
  ],
  [
    'a PEFT field that is not supported',
    async () => {
      const copy = join(directory, 'odd-peft')
      await cp(join(tiny, 'lora'), copy, { recursive: true })
      const file = join(copy, 'adapter_config.json')
      const fields = JSON.parse(await readFile(file, 'utf8')) as object
      await writeFile(file, JSON.stringify({ ...fields, layer_replication: [[0, 2]] }))
      return finetune('--adapter', copy)
    },
    /odd-peft.*layer_replication/,
  ],
  [
    'an adapter with a weight that is none',
    () => ['evaluate', '--model', tiny, '--data', data, '--adapter', `${join(tiny, 'lora')}:half`],
    /^partensor: --adapter .*lora:half: behind the colon stands a weight, as in .*lora:0\.5$/,
  ],
  [
    'several adapters on a quantized base',
    () => [
      'evaluate',
      '--model',
      tiny,
      '--data',
      data,
      '--quantize',
      'nf4',
      '--adapter',
      join(tiny, 'lora'),
      '--adapter',
      join(tiny, 'dora'),
    ],
    /^partensor: --quantize goes with one adapter, of weight 1$/,
  ],
  [
    'an export of nothing',
    () => ['export', '--model', tiny, '--as', 'merged', '--out', join(directory, 'out', 'other1')],
    /^error: required option '--adapter <dir>' not specified$/,
  ],
  [
    'an export to what it cannot be',
    () => [
      'export',
      '--model',
      tiny,
      '--adapter',
      join(tiny, 'dora'),
      '--adapter',
      join(tiny, 'lora'),
      '--as',
      'peft-lora',
      '--out',
      join(directory, 'out', 'other2'),
    ],
    /^partensor: .*DoRA scales every output of the merged weight, which no LoRA says: export it merged$/,
  ],
  [
    'a dtype of an adapter',
    () => [
      'export',
      '--model',
      tiny,
      '--adapter',
      join(tiny, 'lora'),
      '--as',
      'partensor',
      '--dtype',
      'bf16',
      '--out',
      join(directory, 'out', 'other3'),
    ],
    /^partensor: --dtype is that of a merged model: it goes without --as partensor$/,
  ],
  [
    'a comparison of a method that there is not',
    () => ['compare', '--model', tiny, '--data', data, '--eval', data, '--methods', 'paca,adapter'],
    /argument 'paca,adapter' is invalid\. It must be some of paca, lora, .*, separated by commas, each once\.$/,
  ],
  [
    'columns of another rank',
    () => finetune('--rank', '8', '--columns', join(tiny, 'paca.safetensors')),
    /paca\.safetensors: columns\.model\.layers\.0\.self_attn\.q_proj holds 4 columns, and the rank is 8$/,
  ],
  [
    'columns that lack a module',
    () => finetune('--target-modules', 'lm_head', '--columns', join(tiny, 'paca.safetensors')),
    /paca\.safetensors: it has no columns\.lm_head$/,
  ],
  [
    'too little memory',
    () => finetune('--batch', '1000000'),
    /^partensor: a step needs [\d.]+ [GT]B of memory, and there are [\d.]+ [MG]B: take a smaller --batch or --seq$/,
  ],
  [
    'a loss that is no number',
    () => finetune('--lr', '1e30', '--out', join(directory, 'diverged')),
    /^partensor: step \d: the (loss|norm of the gradient) is (NaN|Infinity|-Infinity): nothing was updated; (nothing is saved|the adapter (is saved in|cannot be saved:) .+)$/,
  ],
  [
    'rows longer than the model reads',
    () => finetune('--seq', '129'),
    /--seq 129 is longer than the model reads: its max_position_embeddings is 128$/,
  ],
  [
    'a warm-up without an end',
    () => finetune('--schedule', 'linear', '--warmup', '3'),
    /--warmup 3 leaves no step to the linear schedule: there are 3 steps$/,
  ],
  ['a destination that holds something', () => finetune('--out', tiny), /llama-tiny: the directory is not empty/],
  [
    'a destination that is a file',
    () => finetune('--out', data),
    /rows\.jsonl: it is a file, where a directory is expected$/,
  ],
  [
    'steps and epochs',
    () => finetune('--epochs', '1'),
    /^error: option '--steps <n>' cannot be used with option '--epochs <n>'$/,
  ],
  [
    'a number that is none',
    () => finetune('--lr', 'fast'),
    /^error: option '--lr <x>' argument 'fast' is invalid\. It must be a number from 0 on\.$/,
  ],
  [
    'another precision',
    () => finetune('--precision', 'f64'),
    /^error: option '--precision <name>' argument 'f64' is invalid\. Allowed choices are f32, bf16, f16\.$/,
  ],
  [
    'a precision that the target has not',
    () => finetune('--precision', 'bf16'),
    /^partensor: the wasm target computes in float32: bf16 needs --target graph$/,
  ],
  [
    'another target',
    () => finetune('--target', 'gpu'),
    /^error: option '--target <name>' argument 'gpu' is invalid\. Allowed choices are auto, graph, wasm, node, cpu, reference\.$/,
  ],
  [
    'an adapter that is none',
    () => ['evaluate', '--model', tiny, '--data', data, '--adapter', tiny],
    /adapter_config\.json: no such file or directory$/,
  ],
  [
    'a prompt without a tokenizer',
    () => ['generate', '--model', tiny, '--prompt', 'hello', '--json'],
    /^partensor: text needs a tokenizer, and the model has none$/,
  ],
  ['an unknown command', () => ['train'], /^error: unknown command 'train'$/],
  ['control characters', () => finetune('--\u001b[31mred\n'), /^error: unknown option '--\\u\{1b\}\[31mred\\n'$/],
  [
    'control characters in a path',
    () => finetune('--model', 'a\u001b[2J\nb'),
    /^partensor: a\\u\{1b\}\[2J\\nb: no such file or directory$/,
  ],
]

test('every bad input gets one sentence, a code that is not zero, and no output', async t => {
  const checks = cases.map(([name, args, says]) =>
    t.test(name, async () => {
      const { code, stdout, stderr } = await partensor(...(await args()))
      assert.notEqual(code, 0)
      assert.equal(
        stdout
          .split('\n')
          .filter(line => line !== '' && !line.startsWith('{"event":"step"'))
          .join(),
        '',
      )
      assert.equal(stderr.trimEnd().split('\n').length, 1, stderr)
      assert.match(stderr.trimEnd(), says)
    }),
  )
  await Promise.all(checks)
  assert.deepEqual(
    (await readdir(directory)).filter(name => name === 'out' || name.startsWith('.')),
    [],
  )
})

test('an adapter is refused by another base', async () => {
  assert.equal((await partensor(...finetune('--out', join(directory, 'adapter')))).code, 0)
  const other = await model('other', 'model.safetensors', content => {
    content[content.length - 3]! ^= 1
    return content
  })
  const { code, stdout, stderr } = await partensor(
    'evaluate',
    '--model',
    other,
    '--adapter',
    join(directory, 'adapter'),
    '--data',
    data,
  )
  assert.deepEqual([code, stdout], [1, ''])
  assert.match(
    stderr,
    /^partensor: .*adapter: it was trained on another base, .*llama-tiny \(hash \w{12}\), than .*other \(hash \w{12}\)\n$/,
  )
})

test('rows that are cut or left out are counted in a warning', async () => {
  const mixed = await rows(
    'mixed.jsonl',
    '{"input_ids":[1,2,3,4,5,6,7,8,9]}\n{"input_ids":[1,2],"labels":[-100,-100]}\n{"input_ids":[1,2,3]}\n',
  )
  const { code, stderr } = await partensor(
    ...finetune('--data', mixed, '--seq', '8', '--steps', '1', '--out', join(directory, 'mixed')),
  )
  assert.equal(code, 0)
  assert.equal(
    stderr,
    `warning: ${mixed}: 1 row cut to the length of --seq\nwarning: ${mixed}: 1 row left out: no token in it is scored\n`,
  )
})
