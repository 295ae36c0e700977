import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { goldenRows, jsonLines, partensor, temporary, tiny, writeRows } from '../support/command-line.ts'

const directory = await temporary()
const data = await writeRows(join(directory, 'rows.jsonl'), await goldenRows())
const model = ['--model', tiny, '--target', 'wasm', '--threads', '1'] as const
const rows = ['--data', data, '--eval', data] as const
const at = (name: string): string => join(directory, name)
const evaluated = async (...args: readonly string[]): Promise<number> => {
  const { stdout, stderr } = await partensor('evaluate', ...model, '--data', data, '--json', ...args)
  assert.equal(stderr, '')
  return Number(jsonLines(stdout)[0]!['loss'])
}

test('from a fine-tuned LoRA to one that PEFT loads, one that is merged, and half of two', async () => {
  const recipe = ['--steps', '2', '--lr', '1e-2', '--target-modules', '.*self_attn.(q|v)_proj', '--json']
  const [lora, paca] = await Promise.all([
    partensor(
      'finetune',
      ...model,
      ...rows,
      ...recipe,
      '--method',
      'lora',
      '--rank',
      '4',
      '--alpha',
      '8',
      '--rslora',
      '--out',
      at('lora'),
    ),
    partensor(
      'finetune',
      ...model,
      ...rows,
      ...recipe,
      '--select',
      'weight',
      '--share-columns',
      '--rank',
      '4',
      '--save-optimizer',
      '--out',
      at('paca'),
    ),
  ])
  assert.deepEqual([lora.code, lora.stderr, paca.code, paca.stderr], [0, '', 0, ''])
  assert.deepEqual((await readdir(at('paca'))).sort(), [
    'adapter_config.json',
    'adapter_model.safetensors',
    'optimizer',
    'settings.json',
  ])
  const due = Number(jsonLines(lora.stdout).at(-1)!['evalLossAfter'])
  const [peft, merged] = await Promise.all([
    partensor('export', '--model', tiny, '--adapter', at('lora'), '--as', 'peft-lora', '--out', at('peft'), '--json'),
    partensor(
      'export',
      '--model',
      tiny,
      '--adapter',
      at('lora'),
      '--adapter',
      `${at('paca')}:0.5`,
      '--as',
      'merged',
      '--out',
      at('merged'),
    ),
  ])
  assert.deepEqual(
    [jsonLines(peft.stdout), peft.stderr],
    [[{ event: 'done', out: at('peft'), as: 'peft-lora', notes: [] }], ''],
  )
  assert.deepEqual([merged.code, merged.stdout], [0, `merged model written to ${at('merged')}\n`])
  const again = await evaluated('--adapter', at('peft'))
  const both = await evaluated('--adapter', at('lora'), '--adapter', `${at('paca')}:0.5`)
  const whole = await evaluated('--model', at('merged'))
  assert.ok(Math.abs(again - due) < 2e-5, `${again} is not ${due}`)
  assert.ok(Math.abs(both - whole) < 2e-5 && Math.abs(both - due) > 1e-3)
})

test('compare prints a table for people, and lines for programs; each run is a process of its own', async () => {
  const args = [
    'compare',
    ...model,
    ...rows,
    '--methods',
    'paca,lora',
    '--seeds',
    '0-1',
    '--steps',
    '2',
    '--lr',
    '1e-3',
    '--lr-of',
    'lora=2e-3',
    '--rank',
    '8',
    '--target-modules',
    'q_proj,v_proj',
  ] as const
  const people = await partensor(...args)
  assert.equal(people.code, 0)
  const [head, paca, lora, before, ...end] = people.stdout.split('\n')
  assert.match(head!, /^method +rank +trained +held-out loss +saved bytes a token +peak memory +a step$/)
  assert.match(paca!, /^paca +8 +1,536 +5\.\d{4} ± 0\.\d{4} /)
  assert.match(lora!, /^lora +3 +1,344 /)
  assert.deepEqual([before, ...end], ['before training: held-out loss 5.7429', ''])
  assert.match(
    people.stderr,
    /^paca, rank 8: 1,536 trained parameters\nlora, rank 3: 1,344 trained parameters\npaca, seed 0: held-out loss 5\.7429 → 5\.\d{4}\n(.*\n){3}$/,
  )
  const { stdout, stderr } = await partensor(
    ...args,
    '--selects',
    'weight',
    '--methods',
    'lora',
    '--seeds',
    '0',
    '--json',
  )
  const lines = jsonLines(stdout)
  assert.equal(stderr, '')
  assert.deepEqual(
    lines.map(({ event, name }) => [event, name]),
    [
      ['run', 'lora'],
      ['run', 'paca (weight)'],
      ['done', undefined],
    ],
  )
  for (const line of lines.slice(0, 2)) assert.ok(Number(line['peakMemory']) > 5e7 && Number(line['stepSeconds']) > 0)
})

test('explain says what each method keeps: PaCA less than LoRA, and a quantized model is a fraction of itself', async () => {
  const [paca, lora, packed] = await Promise.all(
    [['paca'], ['lora'], ['lora', '--quantize', 'nf4']].map(
      async ([method = '', ...more]) =>
        jsonLines(
          (
            await partensor(
              'explain',
              '--model',
              tiny,
              '--method',
              method,
              '--rank',
              '4',
              '--batch',
              '2',
              '--seq',
              '24',
              '--json',
              ...more,
            )
          ).stdout,
        )[0]!,
    ),
  )
  assert.ok(Number(paca!['saved']) < Number(lora!['saved']))
  assert.ok(Number(packed!['weights']) < 0.6 * Number(lora!['weights']))
})
