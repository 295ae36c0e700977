import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { typeCheck } from './support/tsc.ts'

const folder = fileURLToPath(new URL('../examples/', import.meta.url))
/** The output of an example; a failing one rejects. */
const run = async (name: string, ...args: readonly string[]): Promise<readonly string[]> => {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [
    '--import',
    'tsx',
    path.join(folder, name),
    ...args,
  ])
  assert.equal(stderr, '')
  return stdout.trim().split('\n')
}
const numbersIn = (text: string, before: string): readonly number[] =>
  [...text.matchAll(new RegExp(`${before}(-?[0-9.]+(?:e-?[0-9]+)?)`, 'g'))].map(match => Number(match[1]))
const temporary = async (use: (directory: string) => Promise<void>): Promise<void> => {
  const directory = await mkdtemp(path.join(tmpdir(), 'partensor-example-'))
  try {
    await use(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** The expected output of each example, and further checks. `start.ts` needs a model of 98 MB: `npm start` runs it. */
const checks: Readonly<Record<string, () => Promise<void>>> = {
  'shape-error.ts': async () =>
    assert.deepEqual(await run('shape-error.ts'), [
      'right: [batch, seq, hidden]',
      'wrong: matmul: inner dims hidden and ffn differ',
    ]),
  'two-layer.ts': async () => {
    const lines = await run('two-layer.ts')
    const losses = numbersIn(lines.join('\n'), 'loss ')
    const columns = /: ([\d, ]+)$/.exec(lines[4] ?? '')?.[1]?.split(', ') ?? []
    assert.ok(losses.length === 4 && losses.at(-1)! < losses[0]! / 3, losses.join())
    assert.equal(new Set(columns).size, 8)
    assert.equal(lines[5], 'first moments: up [8, 16], of a weight [32, 16]')
  },
  'linear-regression.ts': async () =>
    assert.deepEqual(await run('linear-regression.ts'), ['y = 3.000 x1 + -2.000 x2 + 1.000']),
  'autoencoder.ts': async () => {
    const [first = '', second] = await run('autoencoder.ts')
    assert.ok(numbersIn(first, 'loss ')[0]! < 0.02 && numbersIn(first, 'angle at ')[0]! > 75, first)
    assert.equal(second, 'parameters of the encoder: [features, hidden] [hidden] [hidden, 1]')
  },
  'characters.ts': async () => {
    const [first = '', ...written] = await run('characters.ts')
    assert.ok(numbersIn(first, 'accuracy ')[0]! > 0.95, first)
    assert.deepEqual(written, ['a stitch in time saves nine', 'better late than never', 'still waters run deep'])
  },
  'signals.ts': async () => {
    const [text = ''] = await run('signals.ts')
    const [same, longer] = ['40 samples: ', '80 samples: '].map(before => numbersIn(text, before)[0]!)
    assert.ok(same! >= 95 && longer! >= 85, text)
  },
  'shapes.ts': async () => {
    const [text = '', trained] = await run('shapes.ts')
    const [own, before, after] = ['images ', 'negatives ', 'then '].map(word => numbersIn(text, word)[0]!)
    assert.ok(own! >= 90 && before! < 70 && after! >= 85, text)
    assert.equal(trained, 'trained of wide [3, 3, 4, 24], of spatial [3, 3, 4]')
  },
  'towers.ts': async () => {
    const [text = ''] = await run('towers.ts')
    const [before, after] = [numbersIn(text, 'view in '), numbersIn(text, 'then in ')]
    assert.ok(after[0]! > 80 && after[0]! > before[0]!, text)
  },
  'phases.ts': async () => {
    const [first = '', second = ''] = await run('phases.ts')
    const [head, whole] = [numbersIn(first, 'alone '), numbersIn(first, 'everything ')]
    assert.ok(whole[0]! > 0.95 && head[0]! < whole[0]!, first)
    assert.ok(Number(second.split(' ')[0]) >= 15, second)
  },
  'digits.ts': async () => {
    const lines = await run('digits.ts')
    const [accuracy] = numbersIn(lines[0]!, 'accuracy ')
    const right = (lines[1] ?? '').split(' ').filter((digit, i) => i < 10 && digit === String(i))
    assert.ok(accuracy! > 0.85 && right.length >= 8, lines.join('\n'))
  },
  'recurrent.ts': async () => {
    const lines = await run('recurrent.ts')
    const [short, long] = numbersIn(lines.slice(3, 5).join('\n'), 'loss ')
    assert.ok(short! < 0.04 && long! < 0.06, lines.join('\n'))
    const [sums, due] = (lines[5] ?? '').split(' of ').map(text => text.split(' ').map(Number))
    assert.ok(sums!.length === 4 && sums!.every((x, i) => Math.abs(x - due![i]!) < 0.4), lines[5])
  },
  'values.ts': async () =>
    assert.deepEqual(await run('values.ts'), [
      'encoder: [[1,0],[0,1],[0,0]]',
      'code: [[1,2],[4,5]]',
      'loss of each number: [2,3]',
      'squares: 2',
      'sums of rows: [6,15]',
      'moments after 1 step: [3,2]',
    ]),
  'continue.ts': () =>
    temporary(async directory => {
      const [from, within] = await run('continue.ts', path.join(directory, 'saved.safetensors'))
      const losses = numbersIn(within!, ' (?=0)')
      assert.ok(losses.length === 3 && new Set(losses).size === 3, within)
      assert.ok(from!.startsWith('after 5 steps, '))
      assert.deepEqual(numbersIn(from!, ' (?=0)'), losses)
    }),
  'losses.ts': async () => {
    const [squares, huber, entropy, focal] = await run('losses.ts')
    // the outliers lift the squares' line by their mean, 3
    assert.ok(numbersIn(squares!, '\\+ ')[0]! > 2.5, squares)
    const offset = numbersIn(huber!, '\\+ ')[0]!
    assert.ok(offset >= 0 && offset < 0.3 && Math.abs(numbersIn(huber!, '= ')[0]! - 2) < 0.2, huber)
    assert.ok(numbersIn(focal!, 'finds ')[0]! > 90 && numbersIn(entropy!, 'finds ')[0]! < 50, `${entropy} ${focal}`)
  },
  'teacher.ts': async () => {
    const [line] = await run('teacher.ts')
    const [teacher, before] = [numbersIn(line!, 'teacher ')[0]!, numbersIn(line!, 'student ')[0]!]
    const after = numbersIn(line!, 'then ')[0]!
    assert.ok(teacher >= 98 && before < 70 && after >= 88, line)
  },
  'ia3.ts': async () => {
    const [line, numbers] = await run('ia3.ts')
    const [own, before, after] = ['device ', 'one ', 'then '].map(text => numbersIn(line!, text)[0]!)
    assert.ok(own! >= 95 && before! <= 95 && after! >= 97, line)
    assert.equal(numbers, '16 trained numbers')
  },
  'prompt.ts': async () => {
    const [line] = await run('prompt.ts')
    const [told, without, learned] = ['do: ', 'no prompt: ', 'learned prompt: '].map(text => numbersIn(line!, text)[0]!)
    assert.ok(told! > 0.9 && without! < 0.6 && learned! > 0.85, line)
  },
  'own-op.ts': async () => {
    const [derivative, losses] = await run('own-op.ts')
    assert.ok(numbersIn(derivative!, 'by ')[0]! < 1e-12 && derivative!.endsWith('1e-8: true'), derivative)
    const [before, after] = [numbersIn(losses!, 'loss ')[0]!, numbersIn(losses!, 'then ')[0]!]
    assert.ok(before > 0.5 && after < 0.05, losses)
  },
  'padding.ts': async () => {
    const [accuracy, padding] = await run('padding.ts')
    const [before, after] = [numbersIn(accuracy!, ': ')[0]!, numbersIn(accuracy!, 'before, ')[0]!]
    assert.ok(before < 0.6 && after > 0.9, accuracy)
    assert.match(padding!, /rounding alone$/)
  },
  'verify.ts': async () => {
    const lines = await run('verify.ts')
    assert.ok(
      lines.length === 8 &&
        lines.filter(line => line.startsWith('  20 of 20 steps descended, 0 violations')).length === 2,
      lines.join('\n'),
    )
    assert.ok(
      lines[0]!.includes('(proved)') &&
        lines[2]!.startsWith('  proved: ') &&
        lines[4]!.includes('(estimated)') &&
        lines[6] === '  nothing is claimed',
    )
    assert.deepEqual([lines[3], lines[7]], ['  checked again: true', '  checked again: true'])
  },
  'quadratic.ts': async () => {
    const lines = await run('quadratic.ts')
    assert.equal(lines.length, 8)
    for (const line of lines) {
      const [before, after, bound] = [...numbersIn(line, '= '), ...numbersIn(line, '→ '), ...numbersIn(line, '≤ ')] as [
        number,
        number,
        number,
      ]
      assert.ok(line.endsWith('holds') && after < before && after <= bound && bound < before, line)
    }
  },
  'finetune-images.ts': () =>
    temporary(async directory => {
      const [model, out] = [path.join(directory, 'vit'), path.join(directory, 'adapter')]
      const golden = (name: string): string => fileURLToPath(new URL(`golden/${name}`, import.meta.url))
      await cp(golden('vit-tiny'), model, { recursive: true })
      await writeFile(path.join(model, 'preprocessor_config.json'), JSON.stringify({ size: 32, image_std: [1, 1, 1] }))
      const images = golden('images/labels.csv')
      const [note, trains, ...scores] = await run('finetune-images.ts', model, images, images, out)
      assert.equal(note, `${model}: classifier is a new one, for 3 classes instead of 10 others`)
      // eight inputs of six projections in two layers, and the head with its biases
      assert.equal(trains, 'PaCA trains 5523 of 48291 parameters to tell jpeg, png, webp')
      const [before, after] = [numbersIn(scores[0]!, 'loss ')[0]!, numbersIn(scores[1]!, 'loss ')[0]!]
      assert.ok(after < before - 0.2, scores.join())
      assert.equal(scores.at(-1), `saved 12 modules in ${out}`)
      assert.deepEqual((await readdir(out)).sort(), ['adapter_config.json', 'adapter_model.safetensors'])
    }),
  'finetune-llama.ts': () =>
    temporary(async directory => {
      const out = path.join(directory, 'adapter')
      const lines = await run('finetune-llama.ts', fileURLToPath(new URL('golden/llama-tiny', import.meta.url)), out)
      const losses = numbersIn(lines.join('\n'), 'loss ')
      assert.ok(losses.at(-1)! < losses[0]! - 0.5, losses.join())
      assert.equal(lines.at(-1), `saved 8 modules in ${out}`)
      assert.deepEqual((await readdir(out)).sort(), ['adapter_config.json', 'adapter_model.safetensors'])
    }),
}

for (const [name, check] of Object.entries(checks)) test(`examples/${name} runs and prints what it says`, check)

test('every example is run, and none is longer than two screens', async () => {
  const names = (await readdir(folder))
    .filter(name => name.endsWith('.ts') && !['start.ts', 'wordnet.ts'].includes(name))
    .sort()
  assert.deepEqual(names, Object.keys(checks).sort())
  for (const name of names) assert.ok((await readFile(path.join(folder, name), 'utf8')).split('\n').length <= 80, name)
})

test('tsc refuses the wrong line of shape-error.ts, and no other, and names the dims', async () => {
  const source = (await readFile(path.join(folder, 'shape-error.ts'), 'utf8')).replace('../src/index.ts', 'partensor')
  // the fixtures are checked without Node's types, which declare `console`
  const bare = `declare const console: { log(text: string): void }\n${source}`
  assert.deepEqual((await typeCheck(bare)).diagnostics, [])
  const lines = bare.split('\n')
  const at = lines.findIndex(line => line.includes('@ts-expect-error'))
  const { diagnostics } = await typeCheck(lines.toSpliced(at, 1).join('\n'))
  assert.deepEqual(
    diagnostics.map(({ line }) => line),
    [at + 1],
  )
  assert.match(diagnostics[0]!.text, /ShapeError<"matmul: inner dims hidden and ffn differ">/)
})
