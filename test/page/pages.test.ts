import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Followed } from '../../src/program/follow/follower.ts'
import { comparePage, type Compared } from '../../src/program/page/compare-page.ts'
import { noRun, runAfter, runPage } from '../../src/program/page/run-page.ts'
import { explainModel } from '../../src/program/explain.ts'
import { planModel } from '../../src/program/plan.ts'
import { hoverText, noBrowser, openPage, overlaps, widerBy, type Look } from '../support/browser.ts'
import { temporary, tiny } from '../support/command-line.ts'

const directory = await temporary()
const file = async (name: string, text: string): Promise<string> => {
  const path = join(directory, name)
  await writeFile(path, text)
  return path
}
const common = { model: tiny, method: 'paca', rank: 8, seed: 0, batch: 2, seq: 24 } as const
const explained = join(directory, 'explained.html')
const explanation = await explainModel({ ...common, html: explained })

const plannedFile = join(directory, 'planned.html')
await planModel({ ...common, sweep: 'seq', device: '3MB', html: plannedFile })
const methodsFile = join(directory, 'methods.html')
await planModel({ ...common, methods: ['paca', 'lora', 'biases'], device: '3MB', memory: 2e6, html: methodsFile })

/** The events of a run whose loss falls, with texts that would break a page that does not escape them. */
const events: readonly Followed['event'][] = [
  { event: 'warning', message: 'a <b>row</b> & "another" </script><script>alert(1)</script>' },
  {
    event: 'start',
    target: 'tfjs wasm',
    trainable: 4864,
    parameters: 133440,
    rows: 12,
    unit: 'tokens',
    steps: 40,
    batch: 2,
    seq: 16,
    bytes: 212e6,
    flops: 1e9,
    process: 400e6,
  },
  { event: 'evaluated', when: 'before', loss: 3.25, tokens: 100 },
  ...Array.from({ length: 40 }, (_, i) => ({
    event: 'step' as const,
    step: i + 1,
    loss: 3.25 - i / 40,
    lr: 1e-3 * (1 - i / 40),
    gradNorm: 1 / (i + 1),
    tokens: 64,
    seconds: 0.25,
  })),
  { event: 'evaluated', when: 'after', loss: 2.125, tokens: 100 },
]
const run = events.reduce(
  (before, event, i) =>
    runAfter(before, { event, step: event.event === 'step' ? event.step : i < 3 ? 0 : 40, memory: 1.37e9, time: 0 }),
  noRun('PaCA on a model'),
)
const answers = [{ question: 'Define the word “hen”.', before: 'A hen.', after: 'a female <chicken>', expected: '' }]
const runFile = await file('run.html', await runPage({ ...run, answers }, true))

const compared = (method: 'paca' | 'lora', saved: number, loss: number): Compared => ({
  row: {
    name: method,
    method,
    select: undefined,
    rank: 8,
    trainable: 1000,
    lr: 1e-3,
    best: true,
    loss,
    deviation: 0.01,
    losses: [loss],
    peakMemory: 897e6,
    stepSeconds: 1.27,
  },
  plan: { weights: 538e6, state: 10e6, saved, peak: saved + 2e8 },
  curve: [3, 2.5, loss],
})
const both = [compared('paca', 212e6, 2.25), compared('lora', 498e6, 2.125)]
const sizes = { model: 'SmolLM2', sizes: '2 × 256 tokens', lossBefore: 3 }
const comparedFile = await file('compared.html', await comparePage(both, sizes))

const pages: readonly (readonly [name: string, file: string, hover: string, says: RegExp])[] = [
  ['explain', explained, 'td.bar span', /^model\.layers.*: [\d.]+ KB$/],
  [
    'explain',
    explained,
    '@chart',
    /^(forward|backward) pass, \w+.*: [\d.]+ [KM]B\nweights .*\nstate .*\nkept .*\ngradients .*\npassing /,
  ],
  ['plan', plannedFile, 'td.bar span', /^model\.layers.*: [\d.]+ KB$/],
  ['plan', methodsFile, '.stack', /^PaCA: [\d.]+ MB\nweights .*\nstate .*\nkept .*\npassing .*$/],
  ['finetune', runFile, '@chart', /^step \d+\nbatch \d\.\d+\nheld out 3\.250$/],
  ['compare', comparedFile, '.stack', /^PaCA: 960 MB\nweights 538 MB\nstate 10\.0 MB\nkept 212 MB\npassing 200 MB$/],
  ['compare', comparedFile, '@chart', /^step 2\nPaCA 2\.5000\nLoRA 2\.5000$/],
]
const looks: readonly Look[] = [400, 1600].flatMap(width =>
  (['light', 'dark'] as const).map(scheme => ({ width, scheme })),
)
/** A mark in the middle of the first chart that is shown. */
const middle = ({ width }: Look): string => `figure ${width < 720 ? '.narrow' : '.wide'} g.mark-rect > path[aria-label]`

for (const look of looks) {
  test(
    `pages are quiet, no text lies over another and nothing is cut off, at ${look.width} px in ${look.scheme}`,
    { skip: noBrowser },
    async () => {
      for (const name of new Set(pages.map(([, path]) => path))) {
        const { page, complaints } = await openPage(name, look)
        assert.deepEqual(await overlaps(page), [], name)
        const wider = await widerBy(page)
        assert.ok(wider <= 0, `${name} is ${wider} px wider than the window`)
        assert.equal(
          await page.$$eval('figure', all => all.every(one => (one.getAttribute('aria-label') ?? '') !== '')),
          true,
        )
        assert.deepEqual(complaints, [], name)
        await page.close()
      }
    },
  )
  test(
    `a hover says the numbers of its place, at ${look.width} px in ${look.scheme}`,
    { skip: noBrowser },
    async () => {
      for (const [name, path, selector, says] of pages) {
        const { page } = await openPage(path, look)
        const marks = selector === '@chart' ? await page.$$(middle(look)) : []
        const nth =
          selector === '@chart'
            ? `${middle(look)}:nth-of-type(${name === 'compare' ? 2 : Math.ceil(marks.length / 8)})`
            : selector
        assert.match(await hoverText(page, nth), says, `${name}: ${nth}`)
        await page.close()
      }
    },
  )
}

test('texts of a page that lie over each other are found', { skip: noBrowser }, async () => {
  const path = await file('over.html', '<p>one text</p><p style="margin-top:-30px">another</p>')
  const { page } = await openPage(path, { width: 400, scheme: 'light' })
  assert.equal((await overlaps(page)).length, 1)
})

test('light and dark differ', { skip: noBrowser }, async () => {
  const colours: unknown[] = []
  for (const scheme of ['light', 'dark'] as const) {
    const { page } = await openPage(explained, { width: 400, scheme })
    colours.push(await page.evaluate('getComputedStyle(document.body).backgroundColor'))
  }
  assert.deepEqual(colours, ['rgb(255, 255, 255)', 'rgb(18, 22, 27)'])
})

test('a title states the finding, and texts are escaped', async () => {
  const text = (path: string): Promise<string> => readFile(path, 'utf8')
  const titleOf = (page: string): string => /<h1>(.*?)<\/h1>/s.exec(page)![1]!
  const kept = `${(explanation.saved / 1e3).toFixed(0)} KB`
  assert.match(titleOf(await text(explained)), new RegExp(`^PaCA keeps ${kept} for the backward pass, `))
  assert.equal(titleOf(await text(runFile)), 'The held-out loss fell from 3.250 to 2.125 in 40 steps')
  assert.equal(titleOf(await text(comparedFile)), 'PaCA keeps 212 MB, LoRA 498 MB')
  const page = await text(runFile)
  assert.ok(!page.includes('<b>row') && !page.includes('<script>alert') && page.includes('a &lt;b&gt;row&lt;/b&gt;'))
  assert.ok(page.includes('a female &lt;chicken&gt;') && !page.includes('http-equiv="refresh"'))
  assert.match(titleOf(await text(plannedFile)), /^PaCA keeps [\d.]+ KB for the backward pass, /)
  assert.match(titleOf(await text(methodsFile)), /^\w+ holds the least in a step: [\d.]+ MB$/)
  assert.match(await text(methodsFile), /this model has none/)
  for (const path of [explained, plannedFile, methodsFile, runFile, comparedFile])
    assert.doesNotMatch((await text(path)).replaceAll(/xmlns(:\w+)?="[^"]*"/g, ''), /https?:\/\/|<link|src=/)
})

test('a page of a run that goes on is read again, and one that ended early says so', async () => {
  const begun = events
    .slice(0, 8)
    .reduce((before, event) => runAfter(before, { event, step: 0, memory: 1e9, time: 0 }), noRun('x'))
  assert.match(await runPage(begun, false), /http-equiv="refresh"/)
  assert.match(await runPage(begun, false), /<h1>Step 5 of 40: the loss is 3\.150, after 3\.250 at first<\/h1>/)
  assert.match(await runPage(begun, true), /<h1>The run ended after step 5, at a loss of 3\.150<\/h1>/)
  assert.match(await runPage(noRun('x'), true), /<h1>The run ended before its first step<\/h1>/)
})

test('the page of an explanation does not change what is explained', async () => {
  assert.deepEqual(explanation, await explainModel(common))
})
