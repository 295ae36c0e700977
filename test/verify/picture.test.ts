import assert from 'node:assert/strict'
import { test } from 'node:test'
import { certificatePicture, type ConvergenceCertificate } from '../../src/verify/index.ts'
import type { VerifiedRun } from '../../src/verify/certificate-format.ts'
import { certified, estimatedRun, runOf, signRun, type Quadratic } from '../support/certificates.ts'

const of: Quadratic = { eigenvalues: [1, 3, 2, 0.25], trained: [true, false, true, true], start: [1, 2, -1, 4] }
/** A run held to an estimate that is too small: some of its steps violate the inequality. */
const heldTo = (curvature: number, run: VerifiedRun): VerifiedRun => {
  const estimated = estimatedRun(run)
  const steps = run.steps.map(step => ({ ...step, curvature }))
  return { ...estimated, curvature: { ...estimated.curvature, value: curvature } as VerifiedRun['curvature'], steps }
}
const falls = certified(runOf(of, 0.7, 12))
const violates = certified(heldTo(0.9, runOf(of, 0.7, 12)))
const rises = certified(runOf(of, 2.2, 30))

/** Tests whether tags close as they open, attributes are quoted, and nothing is left unescaped. */
const isWellFormed = (xml: string): boolean => {
  const open: string[] = []
  let depthBelow = 0
  const rest = xml
    .trim()
    .replace(
      /<(\/?)([a-zA-Z][\w:-]*)((?:\s+[\w:-]+="[^"<&]*(?:&(?:amp|lt|gt|quot|apos|#\d+);[^"<&]*)*")*)\s*(\/?)>/g,
      (_, close: string, name: string, _attributes: string, alone: string) => {
        if (close === '/') {
          if (open.pop() !== name) depthBelow++
        } else if (alone === '') open.push(name)
        return ''
      },
    )
  return (
    depthBelow === 0 && open.length === 0 && !/[<>]/.test(rest) && !/&(?!amp;|lt;|gt;|quot;|apos;|#\d+;)/.test(rest)
  )
}
/** The label of each symbol: the step, the series, the value. */
const labels = (svg: string): readonly string[] =>
  [...svg.matchAll(/aria-label="(step [^"]*)"/g)].map(([, label]) => label!)
/** The corners of a line of a colour. */
const corners = (svg: string, color: string): number => {
  const path = new RegExp(`<path d="(M[^"]*)"[^>]* stroke="${color}" stroke-width="1.5"`).exec(svg)?.[1] ?? ''
  return path.split('L').length
}
const texts = (svg: string): string =>
  [...svg.matchAll(/<(?:text|tspan)[^>]*>([^<]+)/g)].map(([, text]) => text!).join('\n')

const pictures: ReadonlyMap<ConvergenceCertificate, string> = new Map(
  await Promise.all(
    [falls, violates, rises].map(async (certificate): Promise<[ConvergenceCertificate, string]> => [
      certificate,
      await certificatePicture(certificate),
    ]),
  ),
)
const pictureOf = (certificate: ConvergenceCertificate): string => pictures.get(certificate)!

test('a picture is well-formed XML, an SVG with a light background and a size', () => {
  for (const svg of pictures.values()) {
    assert.ok(isWellFormed(svg))
    assert.match(svg, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"[^>]* width="\d+" height="\d+"/)
    assert.match(svg, /^<svg[^>]*><rect width="\d+" height="\d+" fill="white"/)
    assert.doesNotMatch(svg, /NaN|Infinity|undefined/)
  }
  const svg = pictureOf(falls)
  for (const broken of [
    svg.replace('</svg>', ''),
    svg.replace('</text>', '</g>'),
    svg.replace('Descent', 'De<scent'),
    svg.replace('Descent', 'A & B'),
    svg.replace(/width="(\d+)"/, 'width=$1'),
  ])
    assert.ok(!isWellFormed(broken))
})
test('the same certificate has the same picture, another has another', async () => {
  for (const [certificate, svg] of pictures) assert.equal(await certificatePicture(certificate), svg)
  assert.equal(new Set(pictures.values()).size, pictures.size)
})
test('every step has its loss, its bound and its slack in the picture', () => {
  for (const [{ steps }, svg] of pictures) {
    assert.equal(corners(svg, '#1f5fa8'), steps.length + 1) // the loss before the first step too
    assert.equal(corners(svg, '#d9822b'), steps.length)
    assert.equal(corners(svg, '#2e7d4f'), steps.length)
    for (const { step, next, slack } of steps) {
      for (const [name, value] of [
        ['loss', next],
        ['slack', slack],
      ] as const) {
        const label = `step ${step}: ${name} ${value}`
        assert.ok(
          labels(svg).some(found => found === label || found === `${label}, violation`),
          label,
        )
      }
    }
  }
})
test('violations are marked, and nothing else is', () => {
  for (const [{ steps, summary }, svg] of pictures) {
    const violating = steps.filter(({ verdict }) => verdict === 'violated').map(({ step }) => step)
    const marked = labels(svg)
      .filter(label => label.endsWith(', violation'))
      .map(label => Number(/\d+/.exec(label)![0]))
    assert.deepEqual(marked, [...violating, ...violating])
    assert.equal(svg.match(/fill="#c62828"/g)!.length, 1 + 2 * summary.violations) // one of them in the legend
  }
  assert.ok(violates.summary.violations > 0 && falls.summary.violations === 0)
})
test('the title says the rate, ηL, the largest rate, how the curvature is known, and what the steps did', () => {
  assert.match(
    texts(pictureOf(falls)),
    /Descent of llama-tiny, paca, sgd, wasm\nη = 0\.35, L = 2 \(a proved bound\), ηL = 0\.7, 2\/L = 1\n12 steps: 12 descended, 0 ascended; no violation/,
  )
  assert.match(
    texts(pictureOf(violates)),
    /L ≈ 0\.9 \(estimated\), ηL = 0\.315, 2\/L = 2\.222\n12 steps: .*; 1 violation/,
  )
  assert.match(texts(pictureOf(rises)), /ηL = 2\.2, 2\/L = 1\n30 steps: \d+ descended, \d+ ascended; no violation/)
})
test('slack is logarithmic where all of it is above 0, else it has a 0', () => {
  assert.doesNotMatch(texts(pictureOf(falls)), /\n0\n[^]*slack: bound − loss[^]*−1e-/)
  assert.match(texts(pictureOf(violates)), /−1e-/)
})
test("a model's name is escaped and cut, and one step, another update, a loss without curvature and a long run can be drawn", async () => {
  const run = runOf(of, 0.7, 3)
  const svg = await certificatePicture(
    certified({ ...run, subject: { ...run.subject, model: `${'long/'.repeat(20)}<a&b>` } }),
  )
  assert.ok(isWellFormed(svg))
  assert.match(svg, /Descent of …[a-z/]+&lt;a&amp;b&gt;, paca/)
  const flat = { ...run, steps: run.steps.map(step => ({ ...step, gradNorm: 0, next: 1, loss: 1, curvature: 0 })) }
  for (const other of [signRun(of, 1), heldTo(0, flat), runOf(of, 0.01, 500)]) {
    const drawn = await certificatePicture(certified(other))
    assert.ok(isWellFormed(drawn))
    assert.doesNotMatch(drawn, /NaN|Infinity|undefined/)
    assert.equal(corners(drawn, '#d9822b'), other.steps.length)
    assert.ok(drawn.length < 200_000)
  }
})
