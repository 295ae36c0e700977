/** Puts tokens around those of a whole text. Source: huggingface/tokenizers 0.23, src/processors. */
import { isRecord, quoted, shown } from '../../text/index.ts'
import { fieldsOf, isId, type Fields } from './fields.ts'

/** Ids before and after a text. */
export interface Around {
  readonly before: readonly number[]
  readonly after: readonly number[]
}

const nothing: Around = { before: [], after: [] }

const idList = (fields: Fields, name: string, ids: unknown): readonly number[] =>
  Array.isArray(ids) && ids.every(isId)
    ? ids
    : fields.refuse(`the ids of the token ${quoted(name)} must be whole numbers, not ${shown(ids)}`)

const template = (fields: Fields): Around => {
  const known = fields.take('special_tokens') ?? {}
  const before: number[] = []
  const after: number[] = []
  fields.take('pair')
  let inside = false
  for (const piece of fields.list('single')) {
    const special = isRecord(piece) && isRecord(piece['SpecialToken']) ? piece['SpecialToken']['id'] : undefined
    const sequence = isRecord(piece) && isRecord(piece['Sequence']) ? piece['Sequence']['id'] : undefined
    if (typeof special === 'string') {
      const token = isRecord(known) ? known[special] : undefined
      if (!isRecord(token)) return fields.refuse(`"special_tokens" lacks ${quoted(special)}`)
      ;(inside ? after : before).push(...idList(fields, special, token['ids']))
    } else if (sequence === 'A' && !inside) inside = true
    else fields.unsupported(`${quoted(piece)} in "single"`)
  }
  return inside ? { before, after } : fields.refuse('"single" holds no text')
}

/** A token with its id, such as `["[SEP]", 102]`. */
const pair = (fields: Fields, name: string): readonly number[] => {
  const value: unknown = fields.take(name)
  const [token, id]: readonly unknown[] = Array.isArray(value) ? value : []
  return typeof token === 'string'
    ? idList(fields, token, [id])
    : fields.refuse(`${quoted(name)} must be a token and its id, not ${shown(value)}`)
}

/** The post-processor at `path` of a file. Throws a refusal if it is not supported. */
export const postProcessorOf = (subject: string, path: string, value: unknown): Around => {
  const fields = fieldsOf(subject, path, value)
  const made = ((): Around => {
    switch (fields.type) {
      case 'TemplateProcessing':
        return template(fields)
      case 'Sequence': {
        const parts = fields
          .list('processors')
          .map((part, i) => postProcessorOf(subject, `${path}.processors[${i}]`, part))
          .filter(part => part !== nothing)
        // a second one would be put around every part of the first
        return parts.length > 1 ? fields.unsupported('more than one that adds tokens') : (parts[0] ?? nothing)
      }
      // ids are not changed: this only affects the places of tokens in a text
      case 'ByteLevel':
        for (const name of ['add_prefix_space', 'trim_offsets', 'use_regex']) fields.flag(name, true)
        return nothing
      case 'RobertaProcessing':
      case 'BertProcessing':
        if (fields.type === 'RobertaProcessing')
          for (const name of ['trim_offsets', 'add_prefix_space']) fields.flag(name, true)
        return { before: pair(fields, 'cls'), after: pair(fields, 'sep') }
      default:
        return fields.unsupported()
    }
  })()
  fields.end()
  return made
}
