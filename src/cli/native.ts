import { Command } from 'commander'
import { installNative, nativeStatus, tensorflowVersion } from '../backend/native/index.ts'
import { bytesText, orThrow } from '../text/index.ts'
import type { Terminal } from '../program/index.ts'
import { jsonOption } from './options.ts'

interface InstallOptions {
  readonly gpu?: true
  readonly wheel?: string
  readonly json?: true
}

const installCommand = ({ out, err }: Terminal): Command =>
  new Command('install')
    .description(
      "Build tfjs-node's addon by g++ against the TensorFlow of a Python wheel, in the cache (Linux on x64).",
    )
    .option('--gpu', 'TensorFlow with CUDA: the package tensorflow in place of tensorflow-cpu')
    .option('--wheel <file>', `a wheel of tensorflow or tensorflow-cpu; without, pip downloads ${tensorflowVersion}`)
    .addOption(jsonOption())
    .action(async ({ json, ...options }: InstallOptions) => {
      const installed = await orThrow(
        installNative({
          ...options,
          onProgress: line => {
            err.write(`${line}\n`)
          },
        }),
      )
      const { folder, bytes, built, cuda } = installed
      if (json) out.write(`${JSON.stringify({ event: 'done', ...installed })}\n`)
      else {
        out.write(
          `${built ? 'installed' : 'already installed'}: ${folder} (${bytesText(bytes)}); use it by --target graph\n`,
        )
        if (cuda !== undefined) out.write(`for a GPU it needs CUDA's libraries beside it:\n${cuda}\n`)
      }
    })

const statusCommand = ({ out, exit }: Terminal & { exit(code: number): void }): Command =>
  new Command('status')
    .description('Say which TensorFlow the graph and node targets take, and which builds are in the cache.')
    .addOption(jsonOption())
    .action(async ({ json }: { readonly json?: true }) => {
      const status = await nativeStatus()
      const { builds, used, problem } = status
      if (used === undefined) exit(1)
      out.write(
        json
          ? `${JSON.stringify({ event: 'done', ...status })}\n`
          : [
              used === undefined
                ? problem
                : `the graph and node targets take TensorFlow ${used.tensorflow} on ${used.gpu ? 'gpu' : 'cpu'}, from ${used.from}`,
              ...builds.map(
                ({ folder, bytes, problem: why, outdated }) =>
                  `${folder}: ${why ?? `whole, ${bytesText(bytes)}${outdated ? ', made by another version of Partensor: `partensor native install` makes it anew' : ''}`}`,
              ),
              '',
            ].join('\n'),
      )
    })

/**
 * The command for TensorFlow's native library, which the graph and node targets need: it builds the library and reports
 * whether it is present.
 */
export const nativeCommand = (context: Terminal & { exit(code: number): void }): Command =>
  new Command('native')
    .description('TensorFlow for the graph and node targets: build it, or say what is there.')
    .addCommand(installCommand(context))
    .addCommand(statusCommand(context))
