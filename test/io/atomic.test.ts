import { test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { writeAtomically } from '../../src/host/atomic.ts'
import { checkDestination } from '../../src/host/reserve.ts'
import { inDirectory, message, put, right } from '../support/archives.ts'

async function* pieces(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}
async function* failing(): AsyncGenerator<Uint8Array> {
  yield Buffer.from('half')
  throw new Error('injected')
}

test('a directory is written whole: texts, bytes and pieces; parents are made', () =>
  inDirectory(async directory => {
    const out = join(directory, 'runs/first')
    await right(writeAtomically(out, { 'a.json': '{}', 'b.bin': Uint8Array.of(1, 2), 'c.txt': pieces('one', 'two') }))
    assert.deepEqual((await readdir(out)).sort(), ['a.json', 'b.bin', 'c.txt'])
    assert.equal(await readFile(join(out, 'c.txt'), 'utf8'), 'onetwo')
    assert.deepEqual(await readdir(join(directory, 'runs')), ['first'])
  }))

test('an existing empty directory is accepted, also through a link', () =>
  inDirectory(async directory => {
    await mkdir(join(directory, 'out'))
    await symlink(join(directory, 'out'), join(directory, 'link'))
    await right(writeAtomically(join(directory, 'link'), { a: 'x' }))
    assert.deepEqual(await readdir(join(directory, 'out')), ['a'])
  }))

test('a directory with files, a file, and a name that is a path are refused, and stay as they were', () =>
  inDirectory(async directory => {
    await mkdir(join(directory, 'out'))
    await put(join(directory, 'out'), 'mine', 'x')
    const file = await put(directory, 'file', 'x')
    assert.match(await message(writeAtomically(join(directory, 'out'), { a: 'x' })), /out: the directory is not empty/)
    assert.match(await message(checkDestination(join(directory, 'out'))), /out: the directory is not empty/)
    assert.match(await message(writeAtomically(file, { a: 'x' })), /file: it is a file, where a directory is expected/)
    assert.match(
      await message(writeAtomically(join(directory, 'new'), { '../a': 'x' })),
      /"\.\.\/a" is not a plain file name/,
    )
    assert.deepEqual((await readdir(directory)).sort(), ['file', 'out'])
    assert.deepEqual(await readdir(join(directory, 'out')), ['mine'])
  }))

test('a failure in the middle leaves nothing, neither at the destination nor beside it', () =>
  inDirectory(async directory => {
    assert.match(
      await message(writeAtomically(join(directory, 'out'), { first: 'done', second: failing() })),
      /out: injected/,
    )
    assert.deepEqual(await readdir(directory), [])
    await mkdir(join(directory, 'empty'))
    await message(writeAtomically(join(directory, 'empty'), { first: 'done', second: failing() }))
    assert.deepEqual([await readdir(directory), await readdir(join(directory, 'empty'))], [['empty'], []])
  }))

test('what another puts there meanwhile is kept', () =>
  inDirectory(async directory => {
    const out = join(directory, 'out')
    async function* slow(): AsyncGenerator<Uint8Array> {
      await mkdir(out)
      await put(out, 'theirs', 'x')
      yield Buffer.from('x')
    }
    assert.match(
      await message(writeAtomically(out, { a: slow() })),
      /out: the finished files cannot be moved there: something else is there already/,
    )
    assert.deepEqual([await readdir(directory), await readdir(out)], [['out'], ['theirs']])
  }))
