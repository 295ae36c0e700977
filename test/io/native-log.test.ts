import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { logSource } from '../../src/backend/native/install/log.ts'

// The log's filter in a program of its own, which prints its arguments by C's stderr as TensorFlow does; of Node's
// interface it needs the names.
const found = process.platform === 'linux' && spawnSync('g++', ['--version']).status === 0
const skip = found || process.env['CI'] ? false : 'there is no g++'
const nodeApi = `#include <cstddef>
#include <cstdint>
typedef void* napi_env; typedef void* napi_value; typedef void* napi_callback_info;
enum napi_status { napi_ok };
inline napi_status napi_get_cb_info(napi_env, napi_callback_info, size_t*, napi_value*, napi_value*, void**) { return napi_ok; }
inline napi_status napi_get_value_int32(napi_env, napi_value, int32_t*) { return napi_ok; }
inline napi_status napi_throw_type_error(napi_env, const char*, const char*) { return napi_ok; }
inline napi_status napi_create_function(napi_env, const char*, size_t, napi_value (*)(napi_env, napi_callback_info), void*, napi_value*) { return napi_ok; }
inline napi_status napi_set_named_property(napi_env, napi_value, const char*, napi_value) { return napi_ok; }
#define NAPI_AUTO_LENGTH 0
#define NAPI_MODULE_INIT() napi_value initialize(napi_env env)
`
const main = `#include "log.cc"
#include <cstdlib>
int main(int count, char** given) {
  keepFrom(atoi(given[1]));
  keepFrom(atoi(given[1]));
  for (int i = 2; i < count; i++) fprintf(stderr, "%s\\n", given[i]);
}
`
const lines = [
  'WARNING: All log messages before absl::InitializeLog() is called are written to STDERR',
  'I0000 00:00:1795530205.661737   26990 mlir_graph_optimization_pass.cc:401] MLIR V1 optimization pass is not enabled',
  'W0000 00:00:1795530205.661737   26990 some.cc:1] something is odd',
  'E0000 00:00:1795530205.661737   26990 some.cc:2] something is wrong',
  'F1231 00:00:1795530205.661737   26990 some.cc:3] something ends',
  'I0 is no severity',
  'I2345',
  'Internal: a word',
  'WARNING: another',
  '',
]
const severity = (line: string): number =>
  line.startsWith('WARNING: All') ? 0 : /^[IWEF]\d{4} /.test(line) ? 'IWEF'.indexOf(line[0]!) : 4

let directory = ''
before(async () => {
  if (skip !== false) return
  directory = await mkdtemp(join(tmpdir(), 'partensor-log-'))
  for (const [name, source] of [
    ['node_api.h', nodeApi],
    ['log.cc', logSource],
    ['main.cc', main],
  ] as const)
    await writeFile(join(directory, name), source)
  const { status, stderr } = spawnSync(
    'g++',
    ['-std=c++17', '-Wall', '-Wno-unused-function', '-I.', 'main.cc', '-o', 'main'],
    { cwd: directory, encoding: 'utf8' },
  )
  assert.deepEqual([status, stderr], [0, ''])
})
after(async () => {
  if (directory !== '') await rm(directory, { recursive: true, force: true })
})

for (const least of [0, 1, 2, 3]) {
  test(`at ${least}, lines of a lower severity are dropped, and every other line is printed as it is`, { skip }, () => {
    const { stderr, status } = spawnSync(join(directory, 'main'), [String(least), ...lines], { encoding: 'utf8' })
    assert.equal(status, 0)
    assert.equal(
      stderr,
      lines
        .filter(line => severity(line) >= least)
        .map(line => `${line}\n`)
        .join(''),
    )
  })
}
