import { execFileSync } from 'node:child_process'
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { zipOfAll } from './zip.ts'

/** A zip archive of stored files. */
const zipOf = (files: Readonly<Record<string, string>>): Buffer =>
  zipOfAll(Object.entries(files).map(([name, text]) => ({ name, data: Buffer.from(text), method: 0 })))

const headers = [
  'c/c_api.h',
  'c/c_api_macros.h',
  'c/eager/c_api.h',
  'c/tf_attrtype.h',
  'c/tf_buffer.h',
  'c/tf_datatype.h',
  'c/tf_status.h',
  'c/tf_tensor.h',
  'c/tf_tstring.h',
  'core/platform/ctstring.h',
  'core/platform/ctstring_internal.h',
]
  .map(name => `tensorflow/include/tensorflow/${name}`)
  .concat(
    ['tsl/platform/ctstring.h', 'tsl/platform/ctstring_internal.h', 'xla/tsl/c/tsl_status.h'].map(
      name => `tensorflow/include/${name}`,
    ),
  )

/** The files of a wheel that an installation uses. */
export const wheelFiles: Readonly<Record<string, string>> = {
  ...Object.fromEntries(headers.map(name => [name, '// a header'])),
  'tensorflow/libtensorflow_cc.so.2': 'a library',
  'tensorflow/libtensorflow_framework.so.2': 'another',
  'tensorflow-2.18.1.dist-info/METADATA': [
    'Name: tensorflow',
    'Requires-Dist: numpy<2.1.0,>=1.26.0',
    'Requires-Dist: nvidia-cublas-cu12==12.5.3.2; extra == "and-cuda"',
    "Requires-Dist: nvidia-cudnn-cu12 (==9.3.0.75) ; extra == 'and-cuda'",
    '',
    'text',
  ].join('\n'),
}

const packages: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'tensorflow-tfjs-node-4.22.0.tgz': {
    'binding/tfjs_backend.cc': '',
    'binding/tfjs_binding.cc': '',
    'dist/index.js': 'exports.ours = true',
    'dist/index.d.ts': '',
    'dist/some_test.js': '',
  },
  'node-api-headers-1.9.0.tgz': { 'include/node_api.h': '' },
  'google-protobuf-3.21.4.tgz': { 'google-protobuf.js': '' },
}

/** Tools by name: the source of a script for Node, or undefined for a tool that is not there. */
export type Scripts = Readonly<Record<string, string | undefined>>

const says = (what: string): string => `console.error(${JSON.stringify(what)}); process.exit(1)`
/** A tool that is there, and fails with a text. */
export const failing = (what: string): string => `if (!process.argv.includes('--version')) { ${says(what)} }`

/** A folder with a wheel, and tools that do as the real ones would. */
export const withTools = async (
  changed: Scripts,
  use: (folder: { readonly cache: string; readonly wheel: (name: string) => string }) => Promise<void>,
): Promise<void> => {
  const directory = await mkdtemp(join(tmpdir(), 'partensor-native-'))
  const path = process.env['PATH']
  const at = (...of: readonly string[]): string => join(directory, ...of)
  const wheel = (name: string): string => at('wheels', `${name}-2.18.1-cp311-cp311-manylinux2014_x86_64.whl`)
  const write = async (file: string, content: string | Buffer): Promise<void> => {
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, content)
  }
  try {
    for (const name of ['tensorflow', 'tensorflow_cpu', 'numpy']) await write(wheel(name), zipOf(wheelFiles))
    for (const [tarball, files] of Object.entries(packages)) {
      for (const [name, text] of Object.entries(files))
        await write(at('packages', tarball.slice(0, -4), 'package', name), text)
      execFileSync('tar', ['czf', at('packages', tarball), '-C', at('packages', tarball.slice(0, -4)), 'package'])
    }
    const common = `const fs = require('node:fs'), path = require('node:path'), args = process.argv.slice(2)\n`
    const scripts: Scripts = {
      'python3': `const name = args.find(arg => arg.startsWith('tensorflow'))
if (name) fs.copyFileSync({ 'tensorflow-cpu==2.18.1': ${JSON.stringify(wheel('tensorflow_cpu'))}, 'tensorflow==2.18.1': ${JSON.stringify(wheel('tensorflow'))} }[name],
  path.join(args[args.indexOf('-d') + 1], 'it.whl'))`,
      'npm': `if (args[0] === 'pack') for (const name of ${JSON.stringify(Object.keys(packages))}) fs.copyFileSync(path.join(${JSON.stringify(at('packages'))}, name), name)`,
      'g++': `if (args.includes('-o')) fs.writeFileSync(args[args.indexOf('-o') + 1], 'an addon')`,
      'strip': '',
      ...changed,
    }
    // the nearest package.json determines the kind of a file without an extension
    await write(at('bin', 'package.json'), '{"type":"commonjs"}')
    for (const [name, script] of Object.entries(scripts)) {
      if (script === undefined) continue
      await write(at('bin', name), `#!${process.execPath}\n${common}${script}\n`)
      await chmod(at('bin', name), 0o755)
    }
    if (!('tar' in changed))
      for (const tool of ['tar', 'gzip'])
        await symlink(execFileSync('which', [tool], { encoding: 'utf8' }).trim(), at('bin', tool))
    process.env['PATH'] = at('bin')
    await use({ cache: at('cache'), wheel })
  } finally {
    process.env['PATH'] = path
    await rm(directory, { recursive: true, force: true })
  }
}
