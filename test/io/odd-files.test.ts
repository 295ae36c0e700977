import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmod, cp, mkdir, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { isIoError, type IoError } from '../../src/text/index.ts'
import { loadAdapter, openCheckpoint, readRows } from '../../src/io/index.ts'
import { openFile } from '../../src/host/file.ts'
import { saveMerged } from '../../src/io/checkpoint/merged.ts'
import { readZipEntry } from '../../src/host/zip.ts'
import { checkFile } from '../../src/program/index.ts'
import { openModel } from '../../src/program/model.ts'
import { readColumns } from '../../src/program/columns-file.ts'
import { loadMoments } from '../../src/train/moments.ts'
import { inDirectory, message, put, right } from '../support/archives.ts'

const tiny = fileURLToPath(new URL('../golden/llama-tiny/', import.meta.url))
type Task = TE.TaskEither<IoError, unknown>
const thrown = (run: () => Promise<unknown>): Task =>
  TE.tryCatch(run, error => (isIoError(error) ? error : assert.fail(String(error))))

/**
 * An opener of files by name: the place of the file in a directory with a model and an adapter, and the function that
 * opens it.
 */
type Opener = readonly [file: string, open: (directory: string) => Task]
const columns =
  (directory: string): Task =>
  async () => {
    const checkpoint = await right(openCheckpoint(join(directory, 'model')))
    try {
      return await readColumns(
        join(directory, 'columns'),
        [{ path: 'model.layers.0.self_attn.q_proj', rank: 4, alpha: 4 }],
        checkpoint,
      )()
    } finally {
      await checkpoint.close()
    }
  }
const merged =
  (directory: string): Task =>
  async () => {
    const checkpoint = await right(openCheckpoint(join(directory, 'model')))
    try {
      return await saveMerged(join(directory, 'merged'), checkpoint, [])()
    } finally {
      await checkpoint.close()
    }
  }
const model = (directory: string): Task => openModel(join(directory, 'model'))
const openers: readonly Opener[] = [
  ...[
    'config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
    'generation_config.json',
    'chat_template.jinja',
    'special_tokens_map.json',
    'added_tokens.json',
  ].map((name): Opener => [`model/${name}`, model]),
  ...['LICENSE', 'vocab.json', 'merges.txt', 'tokenizer.model'].map((name): Opener => [`model/${name}`, merged]),
  ['file.gguf', directory => openModel(join(directory, 'file.gguf'))],
  ['adapter/adapter_config.json', directory => loadAdapter(join(directory, 'adapter'))],
  ['adapter/adapter_model.safetensors', directory => loadAdapter(join(directory, 'adapter'))],
  ['adapter/optimizer/moments.safetensors', directory => loadMoments(join(directory, 'adapter'))],
  ['columns', columns],
  ['rows.jsonl', directory => readRows(join(directory, 'rows.jsonl'), { vocabSize: 320 })],
  ['certificate.json', directory => thrown(() => checkFile(join(directory, 'certificate.json')))],
  ['a.whl', directory => thrown(() => readZipEntry(join(directory, 'a.whl'), 'a').next())],
]

/** Things that may be in the place of a file, and the expected sentence. */
type Kind = readonly [name: string, make: (path: string) => Promise<unknown>, says: RegExp]
const kinds: readonly Kind[] = [
  ['a pipe', async path => execFileSync('mkfifo', [path]), /: it is a pipe, where a file is expected$/],
  [
    'a socket',
    path =>
      new Promise(resolve => {
        const server = createServer().listen(path, () => {
          resolve(server.unref())
        })
      }),
    /: it is a socket, where a file is expected$/,
  ],
  ['a device', path => symlink('/dev/zero', path), /: it is a device, where a file is expected$/],
  ['a directory', path => mkdir(path), /: it is a directory, where a file is expected$/],
  ['a circle of links', path => symlink(path, path), /: its symbolic links lead in a circle$/],
  [
    'a file in the place of a folder',
    async path => {
      await rm(join(path, '..'), { recursive: true })
      await writeFile(join(path, '..'), '')
    },
    /a part of the path is not a directory$/,
  ],
]

test(
  'whatever stands in the place of a file is one sentence that names it, and nothing waits for it',
  { skip: process.platform === 'win32', timeout: 60_000 },
  async t => {
    for (const [file, open] of openers) {
      for (const [kind, make, says] of kinds) {
        // a directory in the place of a GGUF file is a Hugging Face directory
        if (
          (file === 'file.gguf' && kind === 'a directory') ||
          (!file.startsWith('adapter/') && kind.includes('folder'))
        )
          continue
        await t.test(`${kind} for ${file}`, { timeout: 5000 }, () =>
          inDirectory(async directory => {
            await mkdir(join(directory, 'model'))
            for (const name of ['config.json', 'model.safetensors'])
              await cp(join(tiny, name), join(directory, 'model', name))
            await cp(join(tiny, 'lora'), join(directory, 'adapter'), { recursive: true })
            await mkdir(join(directory, 'adapter/optimizer'))
            await rm(join(directory, file), { force: true })
            await make(join(directory, file))
            const sentence = await message(open(directory))
            assert.match(sentence, says)
            if (!kind.includes('folder')) assert.ok(sentence.startsWith(join(directory, file)), sentence)
          }),
        )
      }
    }
  },
)

test('a file that may not be read, and one that is empty, are one sentence', () =>
  inDirectory(async directory => {
    await chmod(directory, 0o755)
    const path = await put(directory, 'rows.jsonl', '{"input_ids":[1]}')
    await chmod(path, 0o000)
    const asUser = process.getuid?.() === 0
    if (asUser) process.seteuid!(65534)
    try {
      assert.equal(await message(readRows(path, { vocabSize: 320 })), `${path}: permission denied`)
    } finally {
      if (asUser) process.seteuid!(0)
    }
    const empty = await put(directory, 'empty', '')
    assert.equal(await message(readRows(empty, { vocabSize: 320 })), `${empty}: the file is empty`)
    assert.match(await message(openModel(empty)), /empty: the magic word takes 4 bytes, but 0 are left in the file/)
    assert.equal(
      await message(thrown(() => checkFile(empty))),
      `${empty}: the certificate: it is not valid JSON: it is empty`,
    )
    assert.match(await message(thrown(() => readZipEntry(empty, 'a').next())), /empty: it is not a zip archive/)
    for (const [name, says] of [
      ['adapter_config.json', /it is not valid JSON: it is empty$/],
      ['adapter_model.safetensors', /at least 8 bytes, this one 0$/],
    ] as const) {
      const adapter = join(directory, name)
      await cp(join(tiny, 'lora'), adapter, { recursive: true })
      await truncate(join(adapter, name), 0)
      assert.match(await message(loadAdapter(adapter)), says)
    }
  }))

test('a file that shrinks while it is read is one sentence', () =>
  inDirectory(async directory => {
    const path = await put(directory, 'a', Buffer.alloc(100))
    const file = await right(openFile(path))
    try {
      await truncate(path, 10)
      await assert.rejects(file.readBytes(0, 100), {
        message: `${path}: the file ends at byte 10, where 90 more are expected`,
      })
    } finally {
      await file.close()
    }
    const folder = join(directory, 'model')
    await mkdir(folder)
    for (const name of ['config.json', 'model.safetensors']) await cp(join(tiny, name), join(folder, name))
    const checkpoint = await right(openCheckpoint(folder))
    try {
      await truncate(join(folder, 'model.safetensors'), 20_000)
      const last = [...checkpoint.tensors.values()].at(-1)!
      assert.match(
        await message(last.readF32()),
        /model\.safetensors: the file ends at byte \d+, where \d+ more are expected$/,
      )
    } finally {
      await checkpoint.close()
    }
  }))

test('repeated names, nesting and half characters are refused wherever numbers are trusted, and name the file', () =>
  inDirectory(async directory => {
    const copies = async (name: string): Promise<string> => {
      const to = join(directory, name)
      await mkdir(join(to, 'model'), { recursive: true })
      for (const file of ['config.json', 'model.safetensors']) await cp(join(tiny, file), join(to, 'model', file))
      await cp(join(tiny, 'lora'), join(to, 'adapter'), { recursive: true })
      return to
    }
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
    const repeated = (json: string): string => json.replace('{', '{"first":0,"first":1,')
    const broken: readonly (readonly [string, (json: string) => string, RegExp])[] = [
      ['repeated', repeated, /: the key "first" occurs twice in one object$/],
      [
        'inside',
        json => json.replace('{', '{"extra":[{"x":1,"\\u0078":2}],'),
        /: the key "x" occurs twice in one object$/,
      ],
      ['prototype', json => json.replace('{', '{"__proto__":{"hidden_size":8},'), /: the key "__proto__" is not read$/],
      ['deep', json => json.replace('{', `{"extra":${deep},`), /: its JSON nests deeper than 128$/],
    ]
    for (const [name, change, says] of broken) {
      const at = await copies(name)
      const rewrite = async (file: string, fallback = '{}'): Promise<string> => {
        const path = join(at, file)
        await writeFile(path, change(await readFile(path, 'utf8').catch(() => fallback)))
        return path
      }
      const withHeader = async (file: string): Promise<void> => {
        const bytes = await readFile(join(at, file))
        const length = Number(bytes.readBigUInt64LE(0))
        const size = Buffer.alloc(8)
        const json = Buffer.from(change(bytes.subarray(8, 8 + length).toString()))
        size.writeBigUInt64LE(BigInt(json.length))
        await writeFile(join(at, file), Buffer.concat([size, json, bytes.subarray(8 + length)]))
      }
      const refused = async (task: Task, file: string): Promise<void> => {
        const sentence = await message(task)
        assert.match(sentence, says)
        assert.ok(sentence.startsWith(join(at, file)), sentence)
      }
      for (const file of [
        'tokenizer.json',
        'tokenizer_config.json',
        'generation_config.json',
        'special_tokens_map.json',
        'added_tokens.json',
      ]) {
        await rewrite(`model/${file}`)
        await refused(openModel(join(at, 'model')), `model/${file}`)
        await rm(join(at, 'model', file))
      }
      await withHeader('adapter/adapter_model.safetensors')
      await refused(loadAdapter(join(at, 'adapter')), 'adapter/adapter_model.safetensors: the header')
      await rewrite('adapter/adapter_config.json')
      await refused(loadAdapter(join(at, 'adapter')), 'adapter/adapter_config.json')
      await withHeader('model/model.safetensors')
      await refused(openCheckpoint(join(at, 'model')), 'model/model.safetensors: the header')
      await rm(join(at, 'model/model.safetensors'))
      await rewrite('model/model.safetensors.index.json', '{"weight_map":{}}')
      await refused(openCheckpoint(join(at, 'model')), 'model/model.safetensors.index.json')
      await rewrite('model/config.json')
      await refused(openCheckpoint(join(at, 'model')), 'model/config.json')
      await rewrite('certificate.json', '{"format":"partensor.convergence"}')
      await refused(
        thrown(() => checkFile(join(at, 'certificate.json'))),
        'certificate.json',
      )
      await writeFile(join(at, 'rows.jsonl'), `{"input_ids":[1,2]}\n${change('{"input_ids":[1,2]}')}\n`)
      await refused(readRows(join(at, 'rows.jsonl'), { vocabSize: 320 }), 'rows.jsonl line 2')
    }
  }))
