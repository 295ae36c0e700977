import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import * as fc from 'fast-check'
import { attacker, ends } from '../support/hostile/attack.ts'
import { laws } from '../support/hostile/laws.ts'

/** Hostile files: every parser of the project, attacked by changes of valid files. The soak draws many more. */
const attack = await attacker()
after(() => attack[Symbol.asyncDispose]())

const each = 200
for (const { name } of attack.subjects)
  test(`${name}: changed files break no law, and some are refused`, async () => {
    const seeds = fc.sample(fc.nat(), each)
    const { faults, refused } = await attack.run({ subject: name, seeds })
    assert.deepEqual(faults, [])
    assert.ok(refused > each / 20, `${refused} were refused`)
  })

test('a file of a megabyte that describes as much as it can takes no more memory than it may', async () => {
  const all = attack.subjects.flatMap(({ name, full }) => full.map(one => ({ subject: name, ...one })))
  for (const writes of [true, false]) {
    for (const { subject, ...one } of all) {
      const { faults } = await attack.run({ subject, seeds: [0], full: { ...one, bytes: 1e6, writes } })
      assert.deepEqual(faults, [], `${subject}: ${one.file} ${one.nth}`)
    }
    await attack.renew()
  }
})

for (const law of [...laws.map(({ name }) => name), ends])
  test(`a parser that breaks a law is found: ${law}`, async () => {
    const { faults } = await attack.run({ subject: `rogue: ${law}`, seeds: [1] }, 1000)
    assert.ok(
      faults.some(fault => fault.law === law),
      JSON.stringify(faults),
    )
  })
