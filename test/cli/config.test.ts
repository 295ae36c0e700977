import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { commandLine } from '../../src/cli/program.ts'
import { withConfigFile } from '../../src/cli/config-file.ts'
import { checkEvents } from '../support/events.ts'
import { pageNamed } from '../support/pages.ts'
import { nothing } from '../support/program.ts'
import { goldenRows, jsonLines, partensor, temporary, tiny, writeRows } from '../support/command-line.ts'

const directory = await temporary()
const data = await writeRows(join(directory, 'rows.jsonl'), await goldenRows())

let written = ''
const program = () => commandLine({ ...nothing, out: { write: text => (written += text) } })

let files = 0
const file = async (text: string): Promise<string> => {
  const path = join(directory, `options-${files++}.yaml`)
  await writeFile(path, text)
  return path
}
const expanded = async (text: string, ...argv: readonly string[]): Promise<readonly string[]> => {
  const path = await file(text)
  const words = await withConfigFile(program(), ['finetune', '--config', path, ...argv])
  return words.slice(1, words.indexOf('--config'))
}

test('a file of options stands for the arguments that it names, in YAML and in JSON', async () => {
  const options = { 'lr': 1e-4, 'targetModules': ['q_proj', 'v_proj'], 'optimizer-args': { b1: 0.8 }, 'shuffle': false }
  const words = ['--lr=0.0001', '--target-modules=q_proj,v_proj', '--optimizer-args=b1=0.8', '--no-shuffle']
  assert.deepEqual(await expanded(JSON.stringify(options)), words)
  assert.deepEqual(
    await expanded('lr: 1e-4\ntarget-modules: [q_proj, v_proj]\noptimizer-args: { b1: 0.8 }\nno-shuffle: true'),
    words,
  )
  assert.deepEqual(await expanded('log: [jsonl:a, jsonl:b]\nskip-broken: false'), ['--log=jsonl:a', '--log=jsonl:b'])
})

test('the file on the page of the command line stands for what it says', async () => {
  const [block, ...others] = pageNamed('docs/command-line.md').blocks.filter(({ language }) => language === 'yaml')
  assert.deepEqual(others, [])
  assert.deepEqual(await expanded(block!.source), [
    '--model=model',
    '--data=train.jsonl',
    '--target-modules=q_proj,v_proj',
    '--optimizer-args=b1=0.8',
    '--no-shuffle',
    '--steps=20',
  ])
})

test('options of the command line win over those of the file, and over what excludes them', async () => {
  const text = 'steps: 3\nrank: 4'
  assert.deepEqual(await expanded(text), ['--steps=3', '--rank=4'])
  assert.deepEqual(await expanded(text, '--steps', '5'), ['--rank=4'])
  assert.deepEqual(await expanded(text, '--epochs=5'), ['--rank=4'])
})

test('a file that does not fit is refused in one sentence with its name', async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['metod: paca', /^.*yaml: finetune has no option "metod" \(did you mean method\?\)$/],
    ['config: other.yaml', /has no option "config"$/],
    ['__proto__: 1', /has no option "__proto__"$/],
    ['steps: many', /yaml: steps is "\\"many\\"": It must be an integer from 1 on\.$/],
    ['steps: null', /yaml: steps is "null", which --steps <n> does not take$/],
    ['json: 3', /yaml: json is "3", which --json does not take$/],
    ['method: pacca', /Allowed choices are paca/],
    ['- a\n- b', /yaml: options by name are expected, as lr: 1e-4$/],
    ['{"steps": 3', /yaml: it is neither JSON nor YAML: /],
  ]
  for (const [text, says] of cases) await assert.rejects(expanded(text), { message: says }, text)
  await assert.rejects(withConfigFile(program(), ['finetune', '--config', join(directory, 'options-0.yml')]), {
    message: /options-0\.yml: no such file or directory \(did you mean options-0\.yaml\?\)$/,
  })
})

test('a run writes its options beside the adapter, and given back they make the same run', async () => {
  const [first, second] = [join(directory, 'first'), join(directory, 'second')]
  const options = ['--steps', '2', '--rank', '4', '--target', 'wasm', '--threads', '1', '--no-shuffle', '--seed', '3']
  const ran = await partensor('finetune', '--model', tiny, '--data', data, ...options, '--json', '--out', first)
  assert.equal(ran.code, 0, ran.stderr)
  const settings = join(first, 'settings.json')
  const { model, steps, lr, ...others }: Record<string, unknown> = JSON.parse(await readFile(settings, 'utf8'))
  assert.deepEqual([model, steps, lr, others['no-shuffle'], others['batch']], [tiny, 2, undefined, true, 2])
  assert.ok(!('out' in others) && !('json' in others))
  const again = await partensor('finetune', '--config', settings, '--json', '--out', second)
  assert.equal(again.code, 0, again.stderr)
  const losses = (stdout: string): readonly unknown[] => jsonLines(stdout).map(({ loss }) => loss)
  assert.equal(losses(ran.stdout).length, 3)
  assert.deepEqual(losses(again.stdout), losses(ran.stdout))
  assert.deepEqual(JSON.parse(await readFile(join(second, 'settings.json'), 'utf8')), { model, steps, ...others })
})

test('a dry run says what a run would take, and leaves nothing', async () => {
  const out = join(directory, 'dry')
  const page = join(directory, 'dry.html')
  const options = ['--model', tiny, '--data', data, '--target', 'wasm', '--dry-run', '--html', page, '--out', out]
  const { code, stdout, stderr } = await partensor('finetune', ...options)
  assert.equal(code, 0, stderr)
  assert.equal(stdout, 'a dry run: nothing was trained, and nothing was written\n')
  assert.match(stderr, /parameters \(.* %\), .* steps? of 2 × \d+ tokens\nmemory: the plan of a step holds /)
  for (const path of [out, page]) await assert.rejects(readFile(path), { code: 'ENOENT' })
})

test('an unknown option is named before a missing one, with the one that it may mean', async () => {
  const { code, stderr } = await partensor('finetune', '--model', tiny, '--data', data, '--metod', 'paca')
  assert.deepEqual([code, stderr], [1, "error: unknown option '--metod'\n(Did you mean --method?)\n"])
  const missing = await partensor('finetune', '--model', tiny, '--data', data)
  assert.deepEqual([missing.code, missing.stderr], [1, "error: required option '--out <dir>' not specified\n"])
})

test('events that the documented schema does not describe are refuted (mutant)', () => {
  const step = { event: 'step', step: 1, loss: 1, lr: 0.1, gradNorm: 1, seconds: 1, tokens: 3 }
  checkEvents('finetune', JSON.stringify(step))
  for (const wrong of [{ ...step, los: 1 }, { ...step, loss: '1' }, { ...step, step: 0 }, { event: 'began' }])
    assert.throws(() => {
      checkEvents('finetune', JSON.stringify(wrong))
    }, /finetune: /)
  assert.throws(() => {
    checkEvents('complete', '')
  }, /does not describe complete/)
})

const scriptFor = async (shell: string): Promise<string> => {
  written = ''
  await program().parseAsync(['completion', shell], { from: 'user' })
  return written
}

test('bash completes commands, options and the choices of an option', async () => {
  const script = await scriptFor('bash')
  const completed = (...words: readonly string[]): readonly string[] =>
    execFileSync('bash', [
      '--norc',
      '-c',
      `${script}\nCOMP_WORDS=(partensor "$@")\nCOMP_CWORD=$#\n_partensor\nprintf '%s\\n' "\${COMPREPLY[@]}"`,
      'bash',
      ...words,
    ])
      .toString()
      .split('\n')
      .filter(word => word !== '')
  assert.deepEqual(completed('fine'), ['finetune'])
  assert.deepEqual(completed('finetune', '--rank-'), ['--rank-pattern'])
  assert.deepEqual(completed('finetune', '--target', 'w'), ['wasm'])
  assert.deepEqual(completed('finetune', '--data', ''), [])
  assert.deepEqual(completed('nothing', '--'), [])
})

test('fish and zsh complete the same', async () => {
  assert.match(await scriptFor('fish'), /-n '__fish_seen_subcommand_from finetune' -l target -x -a '[^']*wasm/)
  assert.match(await scriptFor('zsh'), /bashcompinit\n_partensor\(\) \{/)
})
