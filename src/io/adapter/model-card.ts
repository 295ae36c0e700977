import { architectureOf } from '../../model/index.ts'
import { recordOf } from '../../tune/index.ts'
import type { AnyAdapter } from './adapter.ts'

/**
 * A model card of an adapter in PEFT's form: the README.md that a model hub shows.
 * Source: huggingface/peft, peft_model.py (`create_or_update_model_card`).
 */

/** The name of a method, its paper and its trained part. */
const sentence = ({ method }: AnyAdapter): string => {
  const { title, trains, paper } = recordOf(method)
  return `${title}${paper ? ` ([${paper.by}](${paper.url}))` : ''} trains ${trains}.`
}

/** The settings that readers look for. */
const rows = ({ rank, alpha, rslora, seed, quantize, modules, whole, versions }: AnyAdapter): readonly string[] =>
  (
    [
      ['modules', modules.size],
      ['rank', rank],
      ['alpha', alpha],
      ['rank-stabilised scaling', rslora === true ? 'yes' : undefined],
      ['modules trained whole', whole && [...whole.keys()].map(path => `\`${path}\``).join(', ')],
      ['base while training', quantize && `4-bit NormalFloat${quantize.double ? ', double quantization' : ''}`],
      ['seed', seed],
      ...Object.entries(versions),
    ] as const
  ).flatMap(([name, value]) => (value === undefined || value === '' ? [] : [`| ${name} | ${value} |`]))

/**
 * The text of a model card for an adapter as it was trained, and the form in which it is written.
 * @example modelCard(adapter, adapter)
 */
export const modelCard = (trained: AnyAdapter, written: AnyAdapter): string => {
  const base = trained.baseModelName
  const tags = [...new Set([written.method, trained.method])]
  // PEFT has a name for the task, and so a class for the model, or its user makes the base
  const isText = [...trained.modules.keys()].every(path => architectureOf(path).peftTask !== undefined)
  const changed = trained.method === written.method ? [] : [`It is written as a ${recordOf(written.method).title}.`]
  return [
    '---',
    ...(base === '' ? [] : [`base_model: ${JSON.stringify(base)}`]),
    'library_name: peft',
    `pipeline_tag: ${isText ? 'text-generation' : 'image-classification'}`,
    'tags:',
    ...['partensor', ...tags].map(tag => `- ${tag}`),
    '---',
    '',
    `# An adapter${base === '' ? '' : ` of ${base}`}`,
    '',
    [sentence(trained), ...changed].join(' '),
    '',
    '| | |',
    '|---|---|',
    ...rows(written),
    '',
    '```python',
    ...(isText
      ? [
          'from peft import AutoPeftModelForCausalLM',
          '',
          'model = AutoPeftModelForCausalLM.from_pretrained("path/to/this/directory")',
        ]
      : ['from peft import PeftModel', '', 'model = PeftModel.from_pretrained(base, "path/to/this/directory")']),
    '```',
    '',
  ].join('\n')
}
