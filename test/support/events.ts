import { Ajv } from 'ajv'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './pages.ts'

// strict mode wants every field of an alternative to be named again
const ajv = new Ajv({ strict: false })
ajv.addSchema(JSON.parse(readFileSync(join(root, 'docs/events.schema.json'), 'utf8')) as object, 'events')

/**
 * Throws unless each line is an event of the command, as `docs/events.schema.json` describes it.
 * @example checkEvents('doctor', '{"event":"done", …}\n')
 */
export const checkEvents = (command: string, stdout: string): void => {
  const validate = ajv.getSchema(`events#/$defs/${command}`)
  if (validate === undefined) throw new Error(`docs/events.schema.json does not describe ${command}`)
  for (const line of stdout.split('\n').filter(text => text !== ''))
    if (validate(JSON.parse(line)) !== true)
      throw new Error(`${command}: ${line.slice(0, 300)}: ${ajv.errorsText(validate.errors)}`)
}
