import assert from 'node:assert/strict'
import * as E from 'fp-ts/lib/Either.js'
import type { CheckpointConfig, ImageArchitecture, ImageConfig, LanguageArchitecture } from '../../src/model/index.ts'

/** The fields that every architecture takes; those that it takes beside have their defaults. */
const fields = {
  vocab_size: 11,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 6,
  bos_token_id: 1,
  eos_token_id: [2, 3],
  rope_theta: 500,
  rope_scaling: { rope_type: 'linear', factor: 2 },
}
/** A config of an architecture, with other values of some fields. */
export const configOf = (architecture: LanguageArchitecture, changes: object): CheckpointConfig => {
  const { name, className } = architecture
  const config = architecture.config(
    { ...fields, model_type: name, architectures: [className], ...changes },
    'config.json',
  )
  if (E.isLeft(config)) assert.fail(config.left.message)
  return config.right
}

/** A description or a checkpoint of a language model. */
export const ofText = <D extends { readonly task: string }>(found: D): Extract<D, { readonly task: 'text' }> => {
  assert.equal(found.task, 'text')
  // the task was just tested
  return found as Extract<D, { readonly task: 'text' }>
}

/** The config of an image classifier whose fields are its defaults. */
export const imageConfigOf = ({ name, config: parsed }: ImageArchitecture): ImageConfig => {
  const config = parsed({ model_type: name }, 'config.json')
  if (E.isLeft(config)) assert.fail(config.left.message)
  return config.right
}
