import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { installNative } from '../../src/backend/native/index.ts'
import type { NativeInstallOptions } from '../../src/backend/native/install/install.ts'
import { nativeBuilds } from '../../src/backend/native/builds.ts'
import { temporaryName } from '../../src/host/temporary.ts'
import { failing, withTools, type Scripts } from '../support/native-install.ts'
import { message, right } from '../support/tokenizers.ts'

// The installer with fake tools on the PATH; the real build is tested in test/backend/native.test.ts.
delete process.env['CXX']

const supported = process.platform === 'linux' && process.arch === 'x64'
const onLinux = (name: string, run: () => Promise<void>): void => {
  test(name, supported ? {} : { skip: 'native install is for Linux on x64' }, run)
}
const install = (cache: string, more: NativeInstallOptions = {}) =>
  installNative({ cache, loadTest: () => Promise.resolve(), freeBytes: () => Promise.resolve(1e12), ...more })()
const inNative = (cache: string): Promise<readonly string[]> => readdir(join(cache, 'native')).catch(() => [])

onLinux('what is installed is whole, tells its progress, and is not built again', () =>
  withTools({}, async ({ cache }) => {
    const lines: string[] = []
    const tried: string[] = []
    const first = right(
      await install(cache, {
        onProgress: line => {
          lines.push(line)
        },
        loadTest: async build => {
          tried.push(
            ...(await Promise.all(['log.node', 'tfjs_binding.node'].map(file => readFile(join(build, file), 'utf8')))),
          )
        },
      }),
    )
    assert.deepEqual(lines, [
      'downloading tensorflow-cpu 2.18.1 by pip',
      'fetching tfjs-node by npm',
      'unpacking TensorFlow 2.18.1',
      "building tfjs-node's addon by g++",
      'loading it',
    ])
    assert.deepEqual(tried, ['an addon', 'an addon'])
    assert.deepEqual(
      [first.built, first.problem, first.package, first.version, first.cuda],
      [true, undefined, 'tensorflow-cpu', '2.18.1', undefined],
    )
    assert.deepEqual(await inNative(cache), ['tensorflow-cpu-2.18.1'])
    assert.deepEqual((await readdir(first.folder, { recursive: true })).sort(), [
      'installed.json',
      'js',
      'js/dist',
      'js/dist/index.js',
      'js/google-protobuf.js',
      'log.node',
      'tensorflow',
      'tensorflow/libtensorflow_cc.so.2',
      'tensorflow/libtensorflow_framework.so.2',
      'tfjs_binding.node',
    ])
    const again = right(await install(cache, { loadTest: () => Promise.reject(new Error('it is tried again')) }))
    assert.deepEqual([again.built, again.bytes], [false, first.bytes])
    assert.deepEqual(
      nativeBuilds(cache).map(({ package: name, problem }) => [name, problem]),
      [['tensorflow-cpu', undefined]],
    )
  }),
)

const damages: readonly (readonly [what: string, problem: RegExp, damage: (folder: string) => Promise<unknown>])[] = [
  ['without its manifest', /it is half done/, folder => writeFile(join(folder, 'installed.json'), '{')],
  [
    'with a shortened library',
    /libtensorflow_cc\.so\.2 is not whole/,
    folder => truncate(join(folder, 'tensorflow', 'libtensorflow_cc.so.2'), 3),
  ],
]
for (const [what, problem, damage] of damages) {
  onLinux(`a build ${what} is noticed and repaired`, () =>
    withTools({}, async ({ cache }) => {
      const { folder } = right(await install(cache))
      const lines: string[] = []
      await damage(folder)
      assert.match(nativeBuilds(cache)[0]!.problem ?? '', problem)
      assert.equal(
        right(
          await install(cache, {
            onProgress: line => {
              lines.push(line)
            },
          }),
        ).built,
        true,
      )
      assert.match(lines[0]!, problem)
      assert.equal(nativeBuilds(cache)[0]!.problem, undefined)
    }),
  )
}

onLinux('a build of an earlier version still works, is noticed, and is made anew; CUDA beside it stays', () =>
  withTools({}, async ({ cache }) => {
    const { folder } = right(await install(cache))
    const manifest = join(folder, 'installed.json')
    const lines: string[] = []
    const { files } = JSON.parse(await readFile(manifest, 'utf8')) as {
      readonly files: Readonly<Record<string, number>>
    }
    // as the first version wrote it, which made no log.node
    await rm(join(folder, 'log.node'))
    await writeFile(
      manifest,
      JSON.stringify({ files: Object.fromEntries(Object.entries(files).filter(([name]) => name !== 'log.node')) }),
    )
    await mkdir(join(folder, 'nvidia', 'cublas'), { recursive: true })
    assert.deepEqual(
      nativeBuilds(cache).map(({ problem, outdated }) => [problem, outdated]),
      [[undefined, true]],
    )
    assert.equal(
      right(
        await install(cache, {
          onProgress: line => {
            lines.push(line)
          },
        }),
      ).built,
      true,
    )
    assert.match(lines[0]!, /another version of Partensor has made it; it is built anew$/)
    assert.deepEqual(
      nativeBuilds(cache).map(({ problem, outdated }) => [problem, outdated]),
      [[undefined, false]],
    )
    assert.deepEqual(await readdir(join(folder, 'nvidia')), ['cublas'])
    assert.equal(right(await install(cache)).built, false)
  }),
)

onLinux('what a killed installation has left is removed, and what another one is at stays', () =>
  withTools({}, async ({ cache }) => {
    // no process has this id: it is beyond the largest
    const alive = temporaryName()
    const dead = alive.replace(`-${process.pid}-`, `-${2 ** 30}-`)
    for (const name of [dead, alive]) await mkdir(join(cache, 'native', name), { recursive: true })
    right(await install(cache))
    assert.deepEqual((await inNative(cache)).toSorted(), [alive, 'tensorflow-cpu-2.18.1'])
  }),
)

onLinux('a build that fails leaves the one before as it was', () =>
  withTools({ 'g++': failing('a.cc:1: error: no') }, async ({ cache }) => {
    const folder = join(cache, 'native', 'tensorflow-cpu-2.18.1')
    await mkdir(folder, { recursive: true })
    message(await install(cache))
    assert.deepEqual(await inNative(cache), ['tensorflow-cpu-2.18.1'])
  }),
)

onLinux('a wheel that is given needs no pip; strip is used where it is; one of CUDA says what else it needs', () =>
  withTools({ python3: undefined, strip: undefined }, async ({ cache, wheel }) => {
    const { folder, cuda } = right(await install(cache, { gpu: true, wheel: wheel('tensorflow') }))
    assert.equal(folder, join(cache, 'native', 'tensorflow-2.18.1'))
    assert.equal(
      cuda,
      `python3 -m pip install --no-deps --target ${folder} nvidia-cublas-cu12==12.5.3.2 nvidia-cudnn-cu12==9.3.0.75`,
    )
    right(await install(cache, { wheel: wheel('tensorflow_cpu') }))
    // with CUDA comes first
    assert.deepEqual(
      nativeBuilds(cache).map(({ package: name }) => name),
      ['tensorflow', 'tensorflow-cpu'],
    )
  }),
)

const full =
  /^the disk of .*native (is full|has 1\.00 GB free), and native install needs 1\.20 GB: make room, or set PARTENSOR_CACHE to a directory on another disk$/
const failures: readonly (readonly [what: string, tools: Scripts, sentence: RegExp, options?: NativeInstallOptions])[] =
  [
    [
      'no compiler',
      { 'g++': undefined },
      /^native install needs a C\+\+ compiler: install it, on Debian and Ubuntu by `apt-get install g\+\+`$/,
    ],
    [
      'no Python',
      { python3: undefined },
      /^native install needs Python 3 with pip: install it, on Debian and Ubuntu by `apt-get install python3-pip`$/,
    ],
    [
      'no npm',
      { npm: undefined },
      /^native install needs npm: install it, on Debian and Ubuntu by `apt-get install npm`$/,
    ],
    ['no tar', { tar: undefined }, /^native install needs tar: /],
    [
      'nothing',
      { 'g++': undefined, 'python3': undefined },
      /^native install needs a C\+\+ compiler and Python 3 with pip: install them, on Debian and Ubuntu by `apt-get install g\+\+ python3-pip`$/,
    ],
    [
      'pip that finds nothing',
      { python3: failing('ERROR: No matching distribution found for tensorflow-cpu==2.18.1') },
      /^pip download tensorflow-cpu==2\.18\.1: ERROR: No matching distribution found for tensorflow-cpu==2\.18\.1$/,
    ],
    [
      'npm without a network',
      {
        npm: failing(
          'npm error code ENOTFOUND\nnpm error network request to x failed\nnpm error A complete log of this run is at y',
        ),
      },
      /^npm cannot fetch tfjs-node: network request to x failed$/,
    ],
    [
      'a compiler that refuses',
      { 'g++': failing('In file included from a.cc:\na.cc:7: error: no such type') },
      /^g\+\+ cannot build tfjs-node's addon: a\.cc:7: error: no such type$/,
    ],
    [
      'a disk that is full for pip',
      { python3: failing('ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device') },
      full,
    ],
    ['a disk that is full for npm', { npm: failing('npm error code ENOSPC\nnpm error something') }, full],
    [
      'a disk that is full for the compiler',
      { 'g++': failing('collect2: error: ld returned 1\nfatal error: a.o: No space left on device') },
      full,
    ],
    ['a disk with too little room', {}, full, { freeBytes: () => Promise.resolve(1e9) }],
    [
      'an addon that does not load',
      {},
      /cannot load what was built: .*(invalid ELF header|file too short)/,
      { loadTest: undefined } as unknown as NativeInstallOptions,
    ],
    ['a wheel that is not there', {}, /^nowhere\.whl: no such file or directory$/, { wheel: 'nowhere.whl' }],
  ]
for (const [what, tools, sentence, options = {}] of failures) {
  onLinux(`with ${what}: one clear sentence, and nothing stays`, () =>
    withTools(tools, async ({ cache }) => {
      assert.match(message(await install(cache, options)), sentence)
      assert.deepEqual(await inNative(cache), [])
    }),
  )
}

onLinux('wheels of other packages are refused', () =>
  withTools({}, async ({ cache, wheel }) => {
    assert.match(
      message(await install(cache, { wheel: wheel('numpy') })),
      /numpy.*\.whl: it is not a wheel of tensorflow or tensorflow-cpu$/,
    )
    assert.match(
      message(await install(cache, { gpu: true, wheel: wheel('tensorflow_cpu') })),
      /--gpu needs a wheel of tensorflow/,
    )
    await writeFile(wheel('tensorflow_cpu'), 'no zip')
    assert.match(message(await install(cache)), /it is not a zip archive$/)
    assert.deepEqual(await inNative(cache), [])
  }),
)
