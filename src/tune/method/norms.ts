import { trained } from './kept.ts'
import type { Method } from './method.ts'
import { namedWhole, trainedWhole, type NamedWhole } from './whole-leaves.ts'
import { method } from './record.ts'

/**
 * Tuning of norms (Zhao et al., ICLR 2024): trains the gains of the norms of a model and nothing else. Norms are the
 * leaves whose names end with `norm`.
 * @example norms()
 */
export const norms = (): Method<NamedWhole<'norm'>> => namedWhole('norms', 'norm')

export const normsMethod = method({
  name: 'norms',
  title: 'LN tuning',
  trains: 'the gains of the norms',
  paper: { by: 'Zhao et al., ICLR 2024', url: 'https://arxiv.org/abs/2312.11420' },
  make: ({ targets }) => trainedWhole('norms', targets),
  takes: [],
  rank: undefined,
  reach: 'norm',
  targets: 'all',
  tensors: [{ values: trained('out') }],
  shared: {},
  quantizes: true,
  besides: false,
  change: 'values',
  lora: { none: 'gains of norms are multiplied by numbers, not by matrices' },
  peft: {
    type: 'LN_TUNING',
    tensors: { values: ['ln_tuning_layers.weight', 'out'] },
    lacks: ['layers_to_transform', 'layers_pattern'],
    fields: {},
  },
})
