import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmod, link, mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { lockOf, takeLock } from '../../src/host/lock.ts'
import { reserve } from '../../src/host/reserve.ts'
import { sweep, temporaryFolder } from '../../src/host/index.ts'
import { isRunning, ownMark, temporaryName } from '../../src/host/temporary.ts'
import { inDirectory, message, put, right } from '../support/archives.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** The number of a process that has ended. */
const deadPid = (): Promise<number> =>
  new Promise(resolve => {
    const child = spawn(process.execPath, ['-e', ''])
    child.on('close', () => {
      resolve(child.pid!)
    })
  })
/** The lock that a dead process has left. */
const deadLock = async (path: string, id = 'some-dead-id'): Promise<void> =>
  writeFile(
    path,
    JSON.stringify({ ...ownMark, pid: await deadPid(), machine: hostname(), since: '2026-01-01T00:00:00.000Z', id }),
  )

test('a destination is reserved with a lock beside it; folders that were made for it go with it, unless something came into them', () =>
  inDirectory(async directory => {
    const out = join(directory, 'a/b/out')
    const first = await right(reserve(out))
    assert.deepEqual(await readdir(join(directory, 'a/b')), ['.out.lock'])
    assert.deepEqual(await readdir(directory), ['a'])
    await first.release()
    await first.release()
    assert.deepEqual(await readdir(directory), [])
    const second = await right(reserve(out))
    await mkdir(out)
    await second.release()
    assert.deepEqual(await readdir(join(directory, 'a/b')), ['out'])
  }))

test('a second reservation is refused with the process and the time of the first, by whatever name, until that is released', () =>
  inDirectory(async directory => {
    await mkdir(join(directory, 'real'))
    await symlink(join(directory, 'real'), join(directory, 'link'))
    const out = join(directory, 'real/out')
    const held = await right(reserve(out))
    for (const name of [
      out,
      join(directory, 'link/out'),
      join(directory, 'real/../real/out'),
      join(directory, 'real//out/'),
    ]) {
      assert.match(
        await message(reserve(name)),
        new RegExp(`out/?: another run is writing there: process ${process.pid} since 20\\d\\d-[^ ]+Z$`),
      )
    }
    await held.release()
    await (await right(reserve(out))).release()
  }))

test('a destination inside a reserved one, or around one, is refused: the rename at the end would fail', () =>
  inDirectory(async directory => {
    const out = join(directory, 'out')
    const outer = await right(reserve(out))
    assert.match(
      await message(reserve(join(out, 'x/inner'))),
      /inner: it lies in .*out, and another run is writing there: process \d+/,
    )
    assert.deepEqual(await readdir(directory), ['.out.lock'])
    await outer.release()
    const inner = await right(reserve(join(out, 'inner')))
    assert.match(await message(reserve(out)), /out: the directory is not empty/)
    await inner.release()
  }))

test('the lock of a dead process is taken over, also one of another process with its number; what it left is removed', () =>
  inDirectory(async directory => {
    const out = join(directory, 'out')
    await deadLock(lockOf(out))
    const dead = temporaryName().replace(`-${process.pid}-`, `-${await deadPid()}-`)
    await mkdir(join(directory, dead))
    await put(join(directory, dead), 'half', 'x')
    await deadLock(lockOf(join(directory, 'other')))
    await put(directory, '.mine.lock', 'not one of ours')
    const reservation = await right(reserve(out))
    assert.deepEqual((await readdir(directory)).sort(), ['.mine.lock', '.out.lock'])
    await rm(join(directory, '.mine.lock'))
    await reservation.release()
    await writeFile(
      lockOf(out),
      JSON.stringify({ ...ownMark, started: '00000000', machine: hostname(), since: '', id: 'earlier' }),
    )
    if (ownMark.started !== 'unknown') await (await right(reserve(out))).release()
    // a machine without power leaves an empty file
    await writeFile(lockOf(out), '')
    assert.match(await message(reserve(out)), /out: another run is about to write there/)
    await utimes(lockOf(out), new Date(0), new Date(0))
    await (await right(reserve(out))).release()
    assert.deepEqual(await readdir(directory), [])
  }))

test('a lock of another machine is not taken over, and a file that is no lock is refused by name', () =>
  inDirectory(async directory => {
    const out = join(directory, 'out')
    await writeFile(
      lockOf(out),
      JSON.stringify({
        ...ownMark,
        host: 'ffffffff',
        machine: 'far\u001b[31m',
        since: '2026-01-01T00:00:00.000Z',
        id: 'x',
      }),
    )
    assert.match(
      await message(reserve(out)),
      /process \d+ since 2026-01-01T00:00:00\.000Z of "far\\u001b\[31m"; if it has ended, remove .*\.out\.lock$/,
    )
    for (const content of ['mine', '{"pid":1}', '[]']) {
      await writeFile(lockOf(out), content)
      assert.match(
        await message(reserve(out)),
        /\.out\.lock: a lock belongs there, and the file is none: remove it if it is not needed$/,
      )
      assert.equal(await readFile(lockOf(out), 'utf8'), content)
    }
  }))

test('whoever dies while it takes a dead lock over leaves nothing that keeps others away', () =>
  inDirectory(async directory => {
    const path = lockOf(join(directory, 'out'))
    await deadLock(path, 'one')
    await deadLock(`${path}.one`, 'two')
    await deadLock(`${path}.one.two`, 'three')
    await deadLock(`${path}.zero`, 'four')
    const lock = await takeLock(path, 'out')
    assert.deepEqual(await readdir(directory), ['.out.lock'])
    await lock.release()
    assert.deepEqual(await readdir(directory), [])
  }))

test('of many processes that find a dead lock at once exactly one takes it, also while others sweep the folder', () =>
  inDirectory(async directory => {
    const path = lockOf(join(directory, 'out'))
    const module = pathToFileURL(join(root, 'src/host/lock.ts')).href
    // each reports when it is ready, does its part on command, reports the outcome, and stays until it is ended
    const taking = `takeLock(${JSON.stringify(path)}, 'out').then(() => say('taken'), e => say(e.message))`
    const sweeping = `(async () => { for (let i = 0; i < 30; i++) await sweepLocks(${JSON.stringify(directory)}); say('swept') })()`
    const script = (part: string): string => `import { sweepLocks, takeLock } from '${module}'
    const say = text => process.stdout.write(text)
    say('ready')
    process.stdin.once('data', () => ${part})`
    const command = (part: string): readonly string[] => ['--import', 'tsx', '--input-type=module', '-e', script(part)]
    const children = [taking, taking, sweeping, taking, sweeping].map(part =>
      spawn(process.execPath, command(part), { cwd: root }),
    )
    const says = children.map(child => {
      let text = ''
      child.stdout.setEncoding('utf8').on('data', (piece: string) => {
        text += piece
      })
      return async (pattern: RegExp): Promise<string> => {
        for (let i = 0; i < 3000 && !pattern.test(text); i++) await new Promise(resolve => setTimeout(resolve, 10))
        return text
      }
    })
    try {
      await Promise.all(says.map(said => said(/ready/)))
      await deadLock(path)
      for (const child of children) child.stdin.write('go')
      const answers = await Promise.all(says.map(said => said(/taken|another run|swept/)))
      assert.equal(answers.filter(text => text.includes('taken')).length, 1, answers.join(' | '))
      assert.equal(answers.filter(text => text.includes('another run')).length, 2, answers.join(' | '))
      assert.deepEqual(await readdir(directory), ['.out.lock'])
    } finally {
      for (const child of children) child.kill('SIGKILL')
    }
  }))

test('runs that begin and end together in a folder that none of them found do not take it from each other', () =>
  inDirectory(async directory => {
    for (let round = 0; round < 5; round++) {
      await Promise.all(
        Array.from({ length: 8 }, async (_, i) => {
          const reservation = await right(reserve(join(directory, 'new/runs', String(i))))
          if (i % 3 === 0)
            await new Promise(resolve => {
              setTimeout(resolve, i)
            })
          await reservation.release()
        }),
      )
      // of whoever made the folders the last may not be the one that leaves last
      const left = (await readdir(directory, { recursive: true })).filter(
        name => !['new', join('new', 'runs')].includes(name),
      )
      assert.deepEqual(left, [])
      await rm(join(directory, 'new'), { recursive: true, force: true })
    }
  }))

test('what cannot be a destination is refused at once, in one sentence', () =>
  inDirectory(async directory => {
    const file = await put(directory, 'file', 'x')
    await symlink(join(directory, 'nowhere'), join(directory, 'dangling'))
    await symlink(join(directory, 'circle'), join(directory, 'circle'))
    const says: readonly (readonly [string, RegExp])[] = [
      ['', /^the name of the destination is empty/],
      [file, /file: it is a file, where a directory is expected$/],
      [join(file, 'out'), /file.out: a part of the path is not a directory$/],
      [join(file, 'out/deeper'), /deeper: a part of the path is not a directory$/],
      [join(directory, 'dangling'), /dangling: it is a link to .*nowhere, which is not there$/],
      [join(directory, 'circle'), /circle: its symbolic links lead in a circle$/],
      [join(directory, 'n'.repeat(300)), /n: the name is too long$/],
      [`${directory}/a\0b`, /a\\u\{0\}b: it is not a path$/],
    ]
    for (const [name, pattern] of says) assert.match(await message(reserve(name)), pattern)
    assert.deepEqual((await readdir(directory)).sort(), ['circle', 'dangling', 'file'])
  }))

test('a folder that cannot be written to is refused at once', { skip: process.platform === 'win32' }, () =>
  inDirectory(async directory => {
    const folder = join(directory, 'readonly')
    await mkdir(folder)
    await chmod(directory, 0o755)
    await chmod(folder, 0o555)
    const asUser = process.getuid?.() === 0
    // root may write everywhere
    if (asUser) process.seteuid!(65534)
    try {
      assert.match(
        await message(reserve(join(folder, 'out'))),
        /out: nothing can be written in .*readonly: permission denied$/,
      )
    } finally {
      if (asUser) process.seteuid!(0)
      await chmod(folder, 0o755)
    }
    assert.deepEqual(await readdir(folder), [])
  }),
)

test('an empty directory is tried without being changed: the same one is there', () =>
  inDirectory(async directory => {
    const out = join(directory, 'out')
    await mkdir(out)
    const before = await stat(out)
    const reservation = await right(reserve(out))
    assert.equal((await stat(out)).ino, before.ino)
    await reservation.release()
    assert.deepEqual(await readdir(directory), ['out'])
  }))

test('a sweep removes what dead processes of this machine have left, and nothing else', () =>
  inDirectory(async directory => {
    const own = temporaryName()
    const dead = own.replace(`-${process.pid}-`, `-${await deadPid()}-`)
    const elsewhere = dead.replace(ownMark.host, 'ffffffff')
    const others = [own, elsewhere, '.partensor.tmp', `${dead}.txt`, basename(dead).slice(1)]
    for (const name of [dead, ...others]) await mkdir(join(directory, name))
    await put(join(directory, dead), 'half', 'x')
    await sweep(directory)
    assert.deepEqual((await readdir(directory)).sort(), [...others].sort())
    await sweep(join(directory, 'nowhere'))
    {
      await using folder = await temporaryFolder(directory)
      await link(await put(directory, 'kept', 'x'), join(folder.path, 'linked'))
    }
    assert.deepEqual((await readdir(directory)).sort(), ['kept', ...others].sort())
  }))

test('this process runs; a number that no process has, and an earlier process of this number do not', async () => {
  assert.equal(isRunning(ownMark), true)
  assert.equal(isRunning({ ...ownMark, pid: await deadPid() }), false)
  assert.equal(isRunning({ ...ownMark, pid: -1 }), false)
  assert.equal(isRunning({ ...ownMark, host: 'ffffffff', pid: -1 }), true, 'of another machine nothing is known')
  assert.equal(isRunning({ ...ownMark, started: '00000000' }), ownMark.started === 'unknown')
})
