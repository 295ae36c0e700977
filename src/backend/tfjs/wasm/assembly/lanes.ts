// Four f32 lanes: loads and stores of a row's last one to three elements, and sums and maxima across lanes.

/** The first n (1..3) elements at p; the other lanes are 0. */
@inline
export function loadPart(p: usize, n: i32): v128 {
  let v = v128.load32_zero(p)
  if (n > 1) v = f32x4.replace_lane(v, 1, load<f32>(p, 4))
  if (n > 2) v = f32x4.replace_lane(v, 2, load<f32>(p, 8))
  return v
}

/** Stores the first n (1..3) lanes at p. */
@inline
export function storePart(p: usize, v: v128, n: i32): void {
  store<f32>(p, f32x4.extract_lane(v, 0))
  if (n > 1) store<f32>(p, f32x4.extract_lane(v, 1), 4)
  if (n > 2) store<f32>(p, f32x4.extract_lane(v, 2), 8)
}

/** Replaces the lanes from n (1..3) on by those of `fill`. */
@inline
export function keepPart(v: v128, fill: v128, n: i32): v128 {
  const lane = i32x4(0, 1, 2, 3)
  return v128.bitselect(v, fill, i32x4.lt_s(lane, i32x4.splat(n)))
}

@inline
export function sumLanes(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3))
}

@inline
export function maxLanes(v: v128): f32 {
  return max(max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)), max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)))
}

@inline
export function mul(a: v128, b: v128): v128 { return f32x4.mul(a, b) }

@inline
export function add(a: v128, b: v128): v128 { return f32x4.add(a, b) }

@inline
export function sub(a: v128, b: v128): v128 { return f32x4.sub(a, b) }
