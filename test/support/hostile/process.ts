import fs, { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import path from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { diceFrom, type Dice } from '../seeded.ts'
import type { Fault, Full, Job, Said, Tally } from './attack.ts'
import { laws, type Observation } from './laws.ts'
import type { Subject } from './subjects.ts'
import type { Files } from './valid.ts'

/** Opens hostile files one after the other and watches: the paths, the memory, and what all programs share. */

const [, , root = ''] = process.argv
const say = (said: Said): void => void process.send!(said)

let asked: string[] | undefined
const patched = fs.promises as unknown as Record<string, (...args: readonly unknown[]) => unknown>
for (const name of ['open', 'stat', 'lstat', 'readFile', 'writeFile', 'readdir', 'realpath', 'access', 'mkdir', 'rm']) {
  const real = patched[name]!
  patched[name] = (...args) => {
    if (asked !== undefined) asked.push(path.resolve(String(args[0])))
    return real(...args)
  }
}
syncBuiltinESMExports()
const { subjects } = await import('./subjects.ts')
const { rogues } = await import('./rogues.ts')

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const isLinux = process.platform === 'linux'
const inStatus = (field: string): number =>
  1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'latin1'))?.[1])
/** Begins to measure by how much the process grows at most. Elsewhere than on Linux, by how much it has grown. */
const measured = (): (() => number) => {
  if (isLinux) writeFileSync('/proc/self/clear_refs', '5')
  const before = isLinux ? inStatus('VmRSS') : process.memoryUsage.rss()
  return () => Math.max(0, (isLinux ? inStatus('VmHWM') : process.memoryUsage.rss()) - before)
}

const shared = [Object, Array, Function, String, Number, RegExp, Map, Set, Promise, Error, Uint8Array].map(
  kind => kind.prototype as object,
)
const keysOf = (object: object): ReadonlySet<string | symbol> => new Set(Reflect.ownKeys(object))
const clean = [...shared, globalThis].map(object => ({ object, keys: keysOf(object) }))
/** The first name that was added to what all programs share; it is removed again. */
const polluted = (): string | undefined => {
  for (const { object, keys } of clean) {
    const added = Reflect.ownKeys(object).filter(key => !keys.has(key) && key !== 'global')
    for (const key of added) Reflect.deleteProperty(object, key)
    if (added.length > 0) return `${added.map(String).join(', ')} was added`
  }
  return undefined
}

/** Valid files of a subject in folders of their own, one for each kind. */
const prepared = new Map<string, readonly { readonly folder: string; readonly files: Files }[]>()
const prepare = async (subject: Subject) => {
  const known = prepared.get(subject.name)
  if (known !== undefined) return known
  const kinds = (await subject.valid()).map((files, i) => {
    const folder = path.join(root, subject.name.replaceAll(' ', '-'), String(i))
    mkdirSync(folder, { recursive: true })
    for (const [name, bytes] of Object.entries(files)) writeFileSync(path.join(folder, name), bytes)
    writeFileSync(path.join(folder, '..', 'secret.safetensors'), 'secret')
    return { folder, files }
  })
  prepared.set(subject.name, kinds)
  return kinds
}

/** The files of a folder and their bytes in all. */
const filesIn = (folder: string): Pick<Observation, 'folder' | 'files' | 'size'> => {
  const files = readdirSync(folder)
  return { folder, files, size: files.reduce((sum, file) => sum + statSync(path.join(folder, file)).size, 0) }
}

const watched = async (subject: Subject, folder: string): Promise<Observation> => {
  const paths: string[] = []
  const outcome = { value: undefined as unknown, thrown: undefined as unknown }
  const files = filesIn(folder)
  asked = paths
  const grown = measured()
  try {
    outcome.value = await subject.open(folder)
  } catch (error) {
    outcome.thrown = error ?? new Error('nothing')
  }
  const bytes = grown()
  asked = undefined
  return { ...outcome, ...files, paths, grown: bytes, allowed: subject.allowed ?? 0, pollution: polluted() }
}

interface Outcome {
  readonly refused: boolean
  readonly faults: readonly Omit<Fault, 'seed'>[]
}

/** Opens a folder; the faults that the laws find. */
const opened = async (subject: Subject, folder: string): Promise<Outcome> => {
  const once = async (): Promise<Outcome> => {
    const seen = await watched(subject, folder)
    const faults = laws.flatMap(({ name: law, fault }) => {
      const found = fault(seen)
      return found === undefined ? [] : [{ subject: subject.name, law, fault: found }]
    })
    return { refused: seen.thrown !== undefined, faults }
  }
  const first = await once()
  if (first.faults.length === 0) return first
  // garbage of earlier cases may be counted: what is a fault stays one
  collect()
  return once()
}

/** A file changed by a seed, in its folder as long as it is opened. */
const changed = async (subject: Subject, dice: Dice): Promise<Outcome> => {
  const { folder, files } = dice.of(await prepare(subject))
  const name = dice.of(Object.keys(subject.attacked).filter(file => file in files))
  const place = path.join(folder, name)
  writeFileSync(place, subject.attacked[name]!(Buffer.from(files[name]!), dice))
  const outcome = await opened(subject, folder)
  writeFileSync(place, files[name]!)
  return outcome
}

/** A file that is as full as it can be, in a folder of its own: written, or opened. */
const full = async (subject: Subject, { file, nth, bytes, writes }: Full): Promise<Outcome> => {
  const folder = path.join(root, subject.name.replaceAll(' ', '-'), `full ${file} ${nth} ${bytes}`)
  if (!writes) {
    collect()
    return opened(subject, folder)
  }
  const { files } = (await prepare(subject))[0]!
  mkdirSync(folder, { recursive: true })
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(folder, name), content)
  writeFileSync(path.join(folder, file), subject.full![file]![nth]!(bytes))
  return { refused: false, faults: [] }
}

process.on('message', (job: Job) => {
  void (async () => {
    const subject = [...subjects, ...rogues].find(({ name }) => name === job.subject)!
    const tally: Tally = { subject: job.subject, accepted: 0, refused: 0, faults: [] }
    for (const [i, seed] of job.seeds.entries()) {
      say({ begins: i })
      const { refused, faults } = await (job.full ? full(subject, job.full) : changed(subject, diceFrom(seed)))
      tally[refused ? 'refused' : 'accepted']++
      tally.faults.push(...faults.map(fault => ({ ...fault, seed })))
    }
    say({ tally })
  })()
})
const fullOf = (full: NonNullable<Subject['full']>) =>
  Object.entries(full).flatMap(([file, all]) => all.map((_, nth) => ({ file, nth })))
say({ subjects: subjects.map(({ name, full = {} }) => ({ name, full: fullOf(full) })) })
