import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reproduce, reproducible, type Reproduction } from '../../src/program/index.ts'
import { partensor } from '../support/command-line.ts'

type Row = Readonly<Record<string, string | number>>
/** The reproductions, each computed once for all tests. */
const made = new Map<string, Promise<Reproduction>>()
const reproduced = (what: string): Promise<Reproduction> => {
  const found = made.get(what) ?? reproduce(what, { ours: false })
  made.set(what, found)
  return found
}
const rowsOf = async (what: string): Promise<readonly Row[]> => (await reproduced(what)).rows
const numberIn = (row: Row | undefined, key: string): number => Number(row?.[key])
const named = (rows: readonly Row[], method: string): Row | undefined => rows.find(row => row['method'] === method)
/** Asserts that a figure is near the paper's own. */
const near = (row: Row, key: string, papers: string, most: number): void => {
  const [found, paper] = [numberIn(row, key), numberIn(row, papers)]
  assert.ok(Math.abs(found - paper) <= most, `${JSON.stringify(row)}: ${found} and ${paper}`)
}

test("table 4: one budget, from LoRA's row, gives the longest sequences of the others within 2%", async () => {
  const rows = await rowsOf('table4')
  assert.equal(rows.length, 4)
  for (const row of rows) near(row, 'maxSeq', 'paperMaxSeq', 0.02 * numberIn(row, 'paperMaxSeq'))
  assert.equal(numberIn(named(rows, 'lora'), 'maxSeq'), 8000)
  // with checkpointing and a loss in pieces for all, PaCA's advantage is halved
  const ratio = (key: string): number => numberIn(named(rows, 'paca'), key) / numberIn(named(rows, 'lora'), key)
  assert.ok(ratio('maxSeq') > 1.2)
  assert.ok(ratio('carefulMaxSeq') > 1.05 && ratio('carefulMaxSeq') < 1.15)
})
test('figure 3: the largest batches are exactly those of the raw measurements', async () => {
  const rows = await rowsOf('fig3')
  assert.deepEqual(
    rows.map(({ method, maxBatch, paperMaxBatch }) => [method, maxBatch, paperMaxBatch]),
    [
      ['moslora', 15, 15],
      ['paca', 19, 19],
      ['dora', 9, 9],
    ],
  )
})
test("table 1: the parameters are exactly the paper's, and its memory is met within 1.2 GB", async () => {
  const rows = await rowsOf('table1')
  assert.equal(rows.length, 15)
  for (const row of rows) {
    assert.equal(row['trained'], row['paperTrained'])
    near(row, 'bytes', 'paperBytes', 1.2e9)
  }
  // most of the gap between LoRA and PaCA is the dropout that only LoRA has
  const [lora, , , paca] = rows
  const gap = (key: string): number => numberIn(lora, key) - numberIn(paca, key)
  assert.ok(gap('noDropoutBytes') < 0.5 * gap('bytes'))
})
test('table 3: memory in 4 bits is met within 3 GB at 8B and 4 GB at 70B', async () => {
  const rows = await rowsOf('table3')
  assert.equal(rows.length, 4)
  for (const row of rows) near(row, 'bytes', 'paperBytes', row['model'] === 'llama3-8b' ? 3e9 : 4e9)
})
for (const what of ['table6', 'table7'])
  test(`${what}: the overhead of its first row gives the memory of the second within 10%`, async () => {
    const rows = await rowsOf(what)
    assert.equal(rows.length, 2)
    for (const row of rows) near(row, 'bytes', 'paperBytes', 0.1 * numberIn(row, 'paperBytes'))
    // what is fitted is an overhead, less than a fifth of the whole
    const fitted = numberIn(rows[0], 'bytes') - numberIn(rows[0], 'tensorBytes')
    assert.ok(fitted > 0 && fitted < 0.2 * numberIn(rows[0], 'bytes'))
  })
/** Asserts that a ratio or error is the one that was found, within half a percent. */
const isFound = (row: Row | undefined, key: string, found: number): void =>
  assert.ok(Math.abs(numberIn(row, key) - found) < 0.005, `${JSON.stringify(row)}: ${key}`)

test("figure 2: the operations are those of each method's gradients, and the measured times are met within 5%", async () => {
  const rows = await rowsOf('fig2')
  const [full, lora, , , paca] = rows as readonly [Row, Row, Row, Row, Row]
  // gradients of frozen weights are not computed: a product forward, one backward, and a few columns more
  assert.equal(numberIn(paca, 'forwardFlops'), numberIn(full, 'forwardFlops'))
  const ofWeights = numberIn(full, 'backwardFlops') - numberIn(full, 'forwardFlops')
  assert.ok(numberIn(paca, 'backwardFlops') < numberIn(full, 'backwardFlops') - 0.97 * ofWeights)
  assert.ok(numberIn(lora, 'forwardFlops') > numberIn(paca, 'forwardFlops'))
  // PaCA is quicker than LoRA by far more than its operations are fewer
  const total = (row: Row, ...keys: readonly string[]): number => keys.reduce((sum, key) => sum + numberIn(row, key), 0)
  const flops = total(paca, 'forwardFlops', 'backwardFlops') / total(lora, 'forwardFlops', 'backwardFlops')
  assert.ok(flops > 0.99 && numberIn(paca, 'seconds') / numberIn(lora, 'seconds') < 0.86)
  isFound(named(rows, 'paca'), 'timeDifference', -0.006)
  isFound(named(rows, 'moslora'), 'timeDifference', -0.045)
  isFound(named(rows, 'dora'), 'timeDifference', -0.033)
})
test('figure 3: three of 43 measured iterations give the others within 9.1%, if launches take time, and else not', async () => {
  const rows = await rowsOf('fig3')
  // fitted: the largest batches of two rows
  for (const method of ['paca', 'moslora']) assert.ok(Math.abs(numberIn(named(rows, method), 'timeDifference')) < 1e-6)
  isFound(named(rows, 'dora'), 'timeDifference', 0)
  isFound(named(rows, 'paca'), 'worstTimeDifference', -0.031)
  isFound(named(rows, 'moslora'), 'worstTimeDifference', -0.091)
  isFound(named(rows, 'dora'), 'worstTimeDifference', -0.033)
  isFound(named(rows, 'moslora'), 'worstRooflineDifference', 0.251)
  isFound(named(rows, 'dora'), 'worstRooflineDifference', 0.601)
})
test("table 1: the seconds of the paper's steps are met within 9%, and those without hours have no error", async () => {
  const rows = await rowsOf('table1')
  const timed = rows.filter(row => row['paperSeconds'] !== undefined)
  assert.deepEqual(
    timed.map(({ model, method }) => [model, method]),
    [
      ['llama3-8b', 'lora'],
      ['llama3-8b', 'paca'],
    ],
  )
  isFound(named(timed, 'lora'), 'timeDifference', -0.089)
  isFound(named(timed, 'paca'), 'timeDifference', -0.065)
  assert.ok(rows.every(row => numberIn(row, 'seconds') > 0))
})
test("tables 6 and 7: the ratio of times is met for EfficientNetV2, and missed for ViT's LoRA", async () => {
  const [, ofVit] = await rowsOf('table6')
  const [, ofNet] = await rowsOf('table7')
  assert.deepEqual([numberIn(ofVit, 'paperTimeRatio'), numberIn(ofNet, 'paperTimeRatio')], [0.71, 0.84])
  isFound(ofVit, 'timeRatio', 0.556)
  isFound(ofNet, 'timeRatio', 0.814)
})
test('a reproduction holds what this compiler plans for the same step if it is asked to', async () => {
  const { rows, says } = await reproduce('table6', { ours: true })
  for (const row of rows) {
    const [ours, careful] = [numberIn(row, 'oursBytes'), numberIn(row, 'oursCarefulBytes')]
    assert.ok(careful > 0 && careful < ours, JSON.stringify(row))
  }
  assert.match(says.join('; '), /on the graph target in bf16/)
})
test('every reproduction says its regime, and what it assumes', async () => {
  for (const what of reproducible) {
    const { says, rows, title } = await reproduced(what)
    assert.match(says.join('; '), /checkpointing/)
    assert.match(says.join('; '), /dropout/)
    if (rows.some(row => Object.keys(row).some(key => key.startsWith('careful'))))
      assert.match(says.join('; '), /the claim needs: dropout .*; checkpointing .*; chunked loss /)
    assert.ok(rows.length > 0 && title.length > 0)
  }
})
test('a table that cannot be reproduced is refused with the finding, and a name that there is not with those that there are', async () => {
  await assert.rejects(reproduce('table2', { ours: false }), /Table 2 is not reproducible: .* fits no number of tokens/)
  await assert.rejects(
    reproduce('table9', { ours: false }),
    /there are table1, table3, table4, table6, table7, fig2, fig3/,
  )
})
test('the command prints a table for people, and rows for programs', async () => {
  const text = await partensor('reproduce', 'table6')
  assert.match(text.stdout, /paca +16 +6\.19 GB +6\.80 GB +6\.70 GB/)
  const json = await partensor('reproduce', 'table6', '--json')
  const { rows } = JSON.parse(json.stdout) as { readonly rows: readonly Row[] }
  assert.equal(named(rows, 'paca')?.['paperBytes'], 6.7e9)
})
