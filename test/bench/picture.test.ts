import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Recorded } from '../../bench/drawing.ts'
import { pictureOf } from '../../bench/picture.ts'
import { root } from '../support/pages.ts'

/** The page that names the command, and what the command reads and writes. */
const page = readFileSync(join(root, 'docs/measured.md'), 'utf8')
const [, results = '', picture = ''] = /bench\/draw\.ts (\S+) (\S+)/.exec(page) ?? []
const recorded: Recorded = JSON.parse(readFileSync(join(root, results), 'utf8'))
const name = 'SmolLM2, graph bf16: paca'

test('the picture is what its command makes of the recorded results, and the README shows it', async () => {
  assert.equal(await pictureOf(recorded), readFileSync(join(root, picture), 'utf8'))
  assert.ok(readFileSync(join(root, 'README.md'), 'utf8').includes(`](${picture})`))
})

test('other results make another picture; results without a contender make none (mutant)', async () => {
  const paca = recorded.measured[name]!
  assert.ok(paca._tag === 'Right')
  const slower = { ...paca, right: { ...paca.right, times: paca.right.times.map(time => 2 * time) } }
  assert.notEqual(
    await pictureOf({ ...recorded, measured: { ...recorded.measured, [name]: slower } }),
    await pictureOf(recorded),
  )
  const { [name]: _, ...fewer } = recorded.measured
  await assert.rejects(
    pictureOf({ ...recorded, measured: fewer }),
    /^Error: the results have no SmolLM2, graph bf16: paca: not measured$/,
  )
})
