import type { Spec } from 'vega'
import type { ConvergenceCertificate } from './certificate-format.ts'
import { pictureSpec } from './picture-spec.ts'

/**
 * A Vega specification drawn as an SVG; equal ones give equal texts. Vega is loaded only when this is called.
 * @example await writeFile('confusion.svg', await svgOf(confusionSpec(report)))
 */
export const svgOf = async (spec: Spec): Promise<string> => {
  const { parse, View } = await import('vega')
  const view = new View(parse(spec), { renderer: 'none' })
  try {
    return `${await view.toSVG()}\n`
  } finally {
    view.finalize()
  }
}

/**
 * The picture of a certificate, an SVG: the loss and the bound by step; below them the slack (logarithmic, linear
 * around 0), with violations as red crosses; above them the rate, ηL and the outcome. Equal certificates give equal
 * texts.
 * @example await writeFile('certificate.svg', await certificatePicture(certificate))
 */
export const certificatePicture = (certificate: ConvergenceCertificate): Promise<string> =>
  svgOf(pictureSpec(certificate))
