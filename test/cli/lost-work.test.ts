import assert from 'node:assert/strict'
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import * as E from 'fp-ts/lib/Either.js'
import { loadAdapter } from '../../src/io/index.ts'
import { goldenRows, jsonLines, temporary, tiny, writeRows } from '../support/command-line.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const directory = await temporary()
const data = await writeRows(join(directory, 'rows.jsonl'), await goldenRows())
const rowsOf = (n: number) =>
  Array.from({ length: n }, (_, i) => ({ input_ids: Array.from({ length: 12 }, (__, j) => 1 + ((7 * i + j) % 300)) }))
/** Evaluating them takes many seconds. */
const many = await writeRows(join(directory, 'many.jsonl'), rowsOf(8000))
/** Evaluating them takes about a second. */
const some = await writeRows(join(directory, 'some.jsonl'), rowsOf(300))

/** A command line that runs. */
interface Running {
  readonly child: ChildProcess
  /** Waits until something was printed, or a condition holds. */
  until(what: string | (() => boolean)): Promise<void>
  readonly ended: Promise<{
    readonly code: number | null
    readonly signal: NodeJS.Signals | null
    readonly stdout: string
    readonly stderr: string
  }>
}
const start = (args: readonly string[], env: NodeJS.ProcessEnv = {}): Running => {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli/main.ts', ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 120_000,
    killSignal: 'SIGKILL',
  })
  const over = new AbortController()
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
  })
  const ended = new Promise<Awaited<Running['ended']>>(resolve => {
    child.on('close', (code, signal) => {
      over.abort()
      resolve({ code, signal, stdout, stderr })
    })
  })
  return {
    child,
    ended,
    until: async what => {
      const holds = (): boolean => (typeof what === 'string' ? stdout.includes(what) || stderr.includes(what) : what())
      while (!holds() && !over.signal.aborted) await new Promise(resolve => setTimeout(resolve, 5))
      assert.ok(holds(), `it ended before that: ${stdout}${stderr}`)
    },
  }
}
const finetune = (out: string, ...more: readonly string[]): readonly string[] => [
  'finetune',
  '--model',
  tiny,
  '--data',
  data,
  '--rank',
  '4',
  '--target',
  'wasm',
  '--threads',
  '1',
  '--out',
  out,
  ...more,
]
const fresh = async (name: string): Promise<string> => {
  const folder = join(directory, name)
  await mkdir(folder)
  return folder
}
const assertAdapter = async (out: string): Promise<void> => {
  assert.ok(E.isRight(await loadAdapter(out)()), `${out} holds no adapter`)
}
/** One sentence for a person: no stack, no second line. */
const assertSentence = (stderr: string, pattern: RegExp): void => {
  assert.match(stderr.split('\n').at(-2) ?? '', pattern)
  assert.doesNotMatch(stderr, /\n\s+at |node:internal/)
}

const signals = [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const

// each waits for processes most of the time
describe('work that is not lost', { concurrency: 2 }, () => {
  test('a signal ends a run after its step, and what it learned is saved; the exit code is that of the signal', async () => {
    await Promise.all(
      signals.map(async ([signal, code]) => {
        const out = join(directory, `steps-${signal}`)
        const run = start(finetune(out, '--steps', '20000', '--json'))
        await run.until('"step":3')
        run.child.kill(signal)
        const ended = await run.ended
        const done = jsonLines(ended.stdout).at(-1)!
        assert.deepEqual(
          [ended.code, ended.stderr, done['event'], done['adapter'], done['interrupted']],
          [code, '', 'done', out, true],
        )
        await assertAdapter(out)
      }),
    )
  })

  test('a signal while a model is loaded, or evaluated before the first step, ends the run soon and leaves nothing', async () => {
    const folder = await fresh('early')
    const out = join(folder, 'a/b/out')
    const loading = start(finetune(out, '--steps', '5', '--json'))
    await loading.until(() => existsSync(join(folder, 'a/b/.out.lock')))
    loading.child.kill('SIGTERM')
    const ended = await loading.ended
    const done = jsonLines(ended.stdout).at(-1)!
    assert.deepEqual(
      [ended.code, done['steps'], done['adapter'], done['interrupted'], done['target']],
      [143, 0, null, true, null],
    )
    const evaluating = start(finetune(out, '--steps', '5', '--eval', many))
    await evaluating.until('fine-tuning on')
    evaluating.child.kill('SIGHUP')
    const { code, stdout, stderr } = await evaluating.ended
    assert.deepEqual([code, stdout], [129, 'stopped before the first step: nothing was saved\n'])
    assert.doesNotMatch(stderr, /held-out tokens/)
    assert.deepEqual(await readdir(folder), [])
  })

  test('a signal while the last evaluation runs ends it; the adapter was saved before', async () => {
    const out = join(directory, 'after')
    const run = start(finetune(out, '--steps', '1', '--eval', some, '--json'))
    await run.until(() => existsSync(join(out, 'adapter_config.json')))
    run.child.kill('SIGTERM')
    const { code, stdout } = await run.ended
    const done = jsonLines(stdout).at(-1)!
    assert.deepEqual(
      [code, done['steps'], done['adapter'], done['interrupted'], done['evalLossAfter']],
      [143, 1, out, true, null],
    )
    assert.equal(typeof done['evalLossBefore'], 'number')
    await assertAdapter(out)
  })

  test('a signal is seen while columns are selected, and by compare and verify', async () => {
    const folder = await fresh('selecting')
    const out = join(folder, 'out')
    const selecting = start(
      finetune(out, '--data', many, '--select', 'gradient', '--select-steps', '4000', '--steps', '1'),
    )
    await selecting.until(() => existsSync(join(folder, '.out.lock')))
    await new Promise(resolve => setTimeout(resolve, 1500))
    selecting.child.kill('SIGINT')
    assert.equal((await selecting.ended).code, 130)

    const verifying = start([
      'verify',
      '--model',
      tiny,
      '--data',
      data,
      '--rank',
      '4',
      '--steps',
      '100000',
      '--target',
      'wasm',
      '--threads',
      '1',
      '--out',
      out,
    ])
    await verifying.until('step 2:')
    verifying.child.kill('SIGTERM')
    const verified = await verifying.ended
    assert.deepEqual([verified.code, verified.stdout], [143, ''])
    assertSentence(verified.stderr, /^partensor: interrupted$/)

    const system = await fresh('system')
    const comparing = start(
      [
        'compare',
        '--model',
        tiny,
        '--data',
        data,
        '--eval',
        data,
        '--rank',
        '4',
        '--steps',
        '20000',
        '--target',
        'wasm',
        '--threads',
        '1',
      ],
      { TMPDIR: system },
    )
    await comparing.until('trained parameters')
    await comparing.until(() => existsSync(system))
    await new Promise(resolve => setTimeout(resolve, 1500))
    comparing.child.kill('SIGTERM')
    const compared = await comparing.ended
    assert.deepEqual([compared.code, compared.stdout], [143, ''])
    assertSentence(compared.stderr, /^partensor: interrupted$/)
    assert.deepEqual(
      [await readdir(folder), (await readdir(system)).filter(name => name.startsWith('.partensor'))],
      [[], []],
    )
  })

  test('a second signal ends the process at once; two that come together are one', async () => {
    const module = pathToFileURL(join(root, 'src/cli/ending.ts')).href
    // a command that does not stop on request
    const script = `import { watchEnding } from '${module}'
      const ending = watchEnding()
      ending.interrupted({ needsOutput: false }).addEventListener('abort', () => process.stdout.write('asked'))
      setTimeout(() => { ending.done(); process.exit() }, 1500)
      process.stdout.write('ready')`
    const stubborn = async (signal: NodeJS.Signals, wait: number) => {
      const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
        cwd: root,
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const ended = new Promise<readonly [number | null, NodeJS.Signals | null]>(resolve => {
        child.on('close', (code, by) => {
          resolve([code, by])
        })
      })
      let text = ''
      child.stdout.setEncoding('utf8').on('data', (piece: string) => {
        text += piece
        if (piece.includes('ready')) child.kill(signal)
        if (piece.includes('asked')) setTimeout(() => child.kill(signal), wait)
      })
      const by = await ended
      assert.match(text, /asked/)
      return by
    }
    await Promise.all(
      signals.map(async ([signal, code]) => {
        assert.deepEqual(await stubborn(signal, 400), [null, signal])
        assert.deepEqual(await stubborn(signal, 0), [code, null])
      }),
    )
  })

  test('an output that nobody reads any more does not end a run: it saves, and exits with 0, without a word of it', async () => {
    for (const more of [['--json'], []]) {
      const out = join(directory, `closed${more.length}`)
      const run = start(finetune(out, '--steps', '30', ...more))
      run.child.stdout!.destroy()
      if (more.length > 0) run.child.stderr!.destroy()
      const { code, stderr } = await run.ended
      assert.equal(code, 0)
      assert.doesNotMatch(stderr, /EPIPE|partensor:|\n\s+at /)
      await assertAdapter(out)
    }
    const exported = start([
      'export',
      '--model',
      tiny,
      '--adapter',
      join(directory, 'closed0'),
      '--as',
      'merged',
      '--out',
      join(directory, 'merged'),
    ])
    exported.child.stdout!.destroy()
    assert.equal((await exported.ended).code, 0)
    assert.ok(existsSync(join(directory, 'merged/model.safetensors')))
  })

  test('what has nothing to save ends quietly where nobody reads it', async () => {
    for (const args of [
      ['explain', '--model', tiny],
      ['evaluate', '--model', tiny, '--data', data, '--target', 'wasm', '--threads', '1', '--json'],
      ['--help'],
      [
        'verify',
        '--model',
        tiny,
        '--data',
        data,
        '--rank',
        '4',
        '--steps',
        '100000',
        '--target',
        'wasm',
        '--threads',
        '1',
        '--json',
      ],
    ]) {
      const run = start(args)
      run.child.stdout!.destroy()
      const { code, stderr } = await run.ended
      assert.deepEqual([code, stderr], [0, ''], args[0]!)
    }
  })

  /** A command line whose output goes to the place that the shell specifies. */
  const shell = (args: readonly string[], redirect: string) =>
    spawnSync(
      'sh',
      ['-c', `exec "$@" ${redirect}`, 'sh', process.execPath, '--import', 'tsx', 'src/cli/main.ts', ...args],
      { cwd: root, encoding: 'utf8', timeout: 60_000 },
    )

  test(
    'a full standard output is told on standard error, and the run is saved all the same',
    { skip: !existsSync('/dev/full') && 'the system has no /dev/full' },
    async () => {
      const out = join(directory, 'full')
      const { status, stderr } = shell(finetune(out, '--steps', '2', '--json'), '>/dev/full')
      assert.deepEqual([status, stderr], [1, 'partensor: standard output: no space left on the device\n'])
      await assertAdapter(out)
      const explained = shell(['explain', '--model', tiny], '>/dev/full')
      assert.deepEqual(
        [explained.status, explained.stderr],
        [1, 'partensor: standard output: no space left on the device\n'],
      )
      const silent = shell(finetune(join(directory, 'silent'), '--steps', '2', '--json'), '2>/dev/full')
      assert.deepEqual([silent.status, silent.stdout.split('\n').length], [0, 4])
    },
  )

  test('a second run on one destination is refused before its model is looked at; a killed run keeps nobody away, and what it left is removed', async () => {
    const folder = await fresh('two')
    const out = join(folder, 'out')
    const first = start(finetune(out, '--steps', '5', '--eval', many))
    await first.until('fine-tuning on')
    const commands = [
      ['finetune', '--model', 'nowhere', '--data', 'nowhere'],
      ['verify', '--model', 'nowhere', '--data', 'nowhere'],
      ['export', '--model', 'nowhere', '--adapter', 'nowhere', '--as', 'merged'],
    ]
    for (const command of commands) {
      const { code, stderr } = await start([...command, '--out', out]).ended
      assert.equal(code, 1)
      assert.match(
        stderr,
        new RegExp(`^partensor: .*out: another run is writing there: process ${first.child.pid} since [^ ]+Z\n$`),
      )
    }
    first.child.kill('SIGKILL')
    await first.ended
    assert.deepEqual(await readdir(folder), ['.out.lock'])
    const third = await start(finetune(out, '--steps', '2')).ended
    assert.equal(third.code, 0)
    assert.deepEqual(await readdir(folder), ['out'])
  })

  test('two runs that begin together: one is refused, the other saves', async () => {
    const folder = await fresh('together')
    const out = join(folder, 'out')
    const ended = await Promise.all([0, 1].map(() => start(finetune(out, '--steps', '40', '--eval', some)).ended))
    assert.deepEqual(ended.map(({ code }) => code).sort(), [0, 1])
    assertSentence(
      ended.find(({ code }) => code === 1)!.stderr,
      /out: (another run is writing there|the directory is not empty)/,
    )
    await assertAdapter(out)
    assert.deepEqual(await readdir(folder), ['out'])
  })

  /** The work that was kept in a folder; tsx has files there too. */
  const keptIn = async (folder: string): Promise<readonly string[]> =>
    (await readdir(folder)).filter(name => name.startsWith('out.kept-'))

  test('a destination that takes nothing at the end loses no work: it is kept elsewhere, and the sentence says where', async () => {
    const folder = await fresh('gone')
    const system = await fresh('elsewhere')
    const inner = join(folder, 'inner')
    const out = join(inner, 'out')
    const run = start(finetune(out, '--steps', '20000', '--save-optimizer', '--json'), { TMPDIR: system })
    await run.until('"step":1,')
    await rm(inner, { recursive: true })
    await writeFile(inner, 'a file in the place of the folder')
    run.child.kill('SIGTERM')
    const { code, stdout, stderr } = await run.ended
    const done = jsonLines(stdout).at(-1)!
    const [kept, ...more] = await keptIn(system)
    assert.deepEqual([code, more, done['adapter']], [1, [], join(system, kept!)])
    assertSentence(
      stderr,
      new RegExp(`^partensor: .*out: a part of the path is not a directory; the adapter is kept in .*${kept} instead$`),
    )
    await assertAdapter(join(system, kept!))
    assert.deepEqual((await readdir(join(system, kept!))).sort(), [
      'adapter_config.json',
      'adapter_model.safetensors',
      'optimizer',
      'settings.json',
    ])
  })

  test('a destination that somebody has filled meanwhile: their files stay, and the adapter lies beside them', async () => {
    const folder = await fresh('filled')
    const out = join(folder, 'out')
    const run = start(finetune(out, '--steps', '20000', '--json'))
    await run.until('"step":1,')
    await mkdir(out)
    await writeFile(join(out, 'theirs'), 'x')
    run.child.kill('SIGTERM')
    const { code, stderr } = await run.ended
    const [kept] = await keptIn(folder)
    assert.equal(code, 1)
    assertSentence(stderr, /out: the directory is not empty; .*; the adapter is kept in .*filled.out\.kept-/)
    await assertAdapter(join(folder, kept!))
    assert.deepEqual([await readdir(out), (await readdir(folder)).sort()], [['theirs'], ['out', kept]])
  })

  test('a disk that is full at the end: the adapter is kept on another one, and no part of it stays', async t => {
    const disk = await fresh('disk')
    const system = await fresh('roomy')
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]).status !== 0)
      return t.skip('a small disk needs root')
    try {
      const out = join(disk, 'out')
      const run = start(finetune(out, '--steps', '2', '--rank', '32', '--json'), { TMPDIR: system })
      const { code, stderr } = await run.ended
      const [kept] = await keptIn(system)
      assert.equal(code, 1)
      assertSentence(
        stderr,
        new RegExp(`^partensor: .*out: no space left on the device; the adapter is kept in .*${kept} instead$`),
      )
      await assertAdapter(join(system, kept!))
      assert.deepEqual(await readdir(disk), [])
      await writeFile(join(disk, 'fill'), Buffer.alloc(54_000))
      const verified = await start(
        [
          'verify',
          '--model',
          tiny,
          '--data',
          data,
          '--rank',
          '4',
          '--steps',
          '20',
          '--target',
          'wasm',
          '--threads',
          '1',
          '--out',
          out,
        ],
        { TMPDIR: system },
      ).ended
      assert.equal(verified.code, 1)
      assertSentence(
        verified.stderr,
        /^partensor: .*out: no space left on the device; the certificate is kept in .* instead$/,
      )
      assert.deepEqual(await readdir(disk), ['fill'])
      const exported = await start([
        'export',
        '--model',
        tiny,
        '--adapter',
        join(system, kept!),
        '--as',
        'merged',
        '--out',
        out,
      ]).ended
      assert.deepEqual([exported.code, exported.stdout], [1, ''])
      assertSentence(exported.stderr, /^partensor: .*out: no space left on the device$/)
      assert.deepEqual(await readdir(disk), ['fill'])
    } finally {
      spawnSync('umount', [disk])
    }
  })
})
