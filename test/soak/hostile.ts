import { attacker, type Tally } from '../support/hostile/attack.ts'

/**
 * Attacks every parser: `npm run soak -- hostile [cases] [seed]`. Changed files, 100 000 of them by default, and files
 * of up to 48 MB that describe as much as they can. It prints how many each parser refused and accepted, and fails if
 * one breaks a law.
 */
const cases = Number(process.argv[2] ?? 100_000)
const first = Number(process.argv[3] ?? 1)
const sizes = [1e6, 8e6, 48e6]

await using attack = await attacker()
let broken = 0
let total = 0
const report = (what: string, { subject, refused, accepted, faults }: Tally, begun: number): void => {
  const seconds = Math.round((performance.now() - begun) / 1000)
  console.log(`${subject.padEnd(13)} ${what}: ${refused} refused, ${accepted} accepted, ${seconds} s`)
  for (const { law, seed, fault } of faults) console.log(`  seed ${seed}: ${law}: ${fault}`)
  broken += faults.length
  total += refused + accepted
}

const { subjects } = attack
const each = Math.ceil(cases / subjects.length)
for (const [i, { name }] of subjects.entries()) {
  const begun = performance.now()
  const seeds = Array.from({ length: each }, (_, k) => first + i * each + k)
  report('changed', await attack.run({ subject: name, seeds }), begun)
}
for (const bytes of sizes)
  for (const { name, full } of subjects)
    for (const one of full) {
      const begun = performance.now()
      const job = { subject: name, seeds: [0] }
      await attack.run({ ...job, full: { ...one, bytes, writes: true } }, 600_000)
      await attack.renew()
      const opened = await attack.run({ ...job, full: { ...one, bytes, writes: false } }, 5000 + bytes / 1000)
      report(`${bytes / 1e6} MB, ${one.file} ${one.nth}`, opened, begun)
    }
console.log(`${total} cases, ${broken === 0 ? 'no law is broken' : `${broken} faults`}`)
if (broken > 0) process.exitCode = 1
