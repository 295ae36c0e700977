import type * as E from '../../either/index.ts'
import { attemptSync, fieldsOf, limits, type IoError, type Json } from '../../text/index.ts'
import { imageArchitecture, type ImageArchitecture } from '../images/architecture.ts'
import { labelsJson, labelsOf, squareOf } from '../images/config.ts'
import { declareLayers } from './layers.ts'
import { efficientNet, type EfficientNetConfig, type Implementation } from './model.ts'
import { efficientNetPytorchNames, storedIn, targetsOf, timmNames, torchvisionNames } from './names.ts'
import { efficientNetLite0, efficientNetV2, type Defaults, type Network } from './networks.ts'

/** TensorFlow's epsilon, which all of these have. */
const eps = 1e-3
const implementations = {
  torchvision: { names: torchvisionNames, padding: 'symmetric', eps, momentum: 0.1 },
  /** Those of timm whose names begin with `tf_`. */
  timm: { names: timmNames, padding: 'same', eps, momentum: 0.1 },
  efficientNetPytorch: { names: efficientNetPytorchNames, padding: 'same', eps, momentum: 0.01 },
} as const satisfies Readonly<Record<string, Implementation>>

/** The largest image and the largest rate. */
const mostPixels = 2 ** 14
const highest = 0.999

/** Reads a config.json of timm, or one that {@link jsonOf} wrote. */
const validate = (
  json: Json,
  file: string,
  named: (field: string) => string,
  { image_size, drop_rate, drop_path_rate }: Defaults,
): EfficientNetConfig => {
  const given = fieldsOf(json, file, named)
  given.only('global_pool', 'avg')
  const args = given.object('model_args') ?? {}
  if (Object.keys(args).some(key => !['drop_rate', 'drop_path_rate'].includes(key)))
    throw given.wrong('model_args', 'drop_rate and drop_path_rate alone')
  const size = given.object('pretrained_cfg')?.['input_size']
  const [channels, rows]: readonly unknown[] = Array.isArray(size) ? size : []
  const listed = given.strings('label_names')
  const id2label = json['id2label'] ?? (listed.length > 0 ? { ...listed } : undefined)
  const whole: Json = {
    ...json,
    ...args,
    image_size: json['image_size'] ?? rows,
    num_channels: json['num_channels'] ?? json['in_chans'] ?? channels,
    id2label,
    num_labels: json['num_labels'] ?? json['num_classes'] ?? (id2label === undefined ? 1000 : undefined),
  }
  const fields = fieldsOf(whole, file, named)
  return {
    image_size: squareOf(whole, file, 'image_size', mostPixels, image_size),
    num_channels: fields.integer('num_channels', limits.hidden, 3),
    labels: labelsOf(whole, file, named),
    drop_rate: fields.between('drop_rate', 0, highest, drop_rate),
    drop_path_rate: fields.between('drop_path_rate', 0, highest, drop_path_rate),
  }
}

/** A network in an implementation, by the name that it has there, and the name under which its shapes are opened. */
const architecture = (
  name: string,
  network: Network,
  { names, ...style }: Implementation,
  published?: string,
): ImageArchitecture =>
  imageArchitecture({
    name,
    className: name,
    roots: names.roots,
    stored: storedIn(names),
    head: names.classifier,
    targets: targetsOf(declareLayers(network, 3), names),
    modulesToSave: [names.classifier],
    config: (json, file, named = field => field): E.Either<IoError, EfficientNetConfig> =>
      attemptSync(file, () => validate(json, file, named, network.defaults)),
    // a network's defaults are its config
    ...(published === undefined ? {} : { published: { [published]: {} } }),
    json: config => {
      // whether statistics are frozen is a fact of a run
      const { labels, frozenStatistics: _, ...own } = config
      return {
        model_type: name,
        architecture: name,
        ...own,
        num_classes: labels.length,
        ...labelsJson(labels),
      }
    },
    model: config => efficientNet(network, { names, ...style }, config),
    derived: tensor =>
      /(^|\.)num_batches_tracked$/.test(tensor) ? { what: 'the number of training steps' } : undefined,
  })

const { torchvision, timm, efficientNetPytorch } = implementations

/**
 * EfficientNetV2 and EfficientNet-Lite0 under torchvision's, timm's and efficientnet-lite-pytorch's names. Padding,
 * epsilon and momentum are those of the implementation that the names are from.
 */
export const efficientNetArchitectures: readonly ImageArchitecture[] = [
  ...(['s', 'm', 'l'] as const).flatMap(size => [
    architecture(`efficientnet_v2_${size}`, efficientNetV2[size], torchvision, `efficientnetv2-${size}`),
    architecture(`tf_efficientnetv2_${size}`, efficientNetV2[size], timm),
  ]),
  architecture('tf_efficientnet_lite0', efficientNetLite0, timm),
  architecture('efficientnet-lite0', efficientNetLite0, efficientNetPytorch),
]
