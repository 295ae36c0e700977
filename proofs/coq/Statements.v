(* Theorem 1 of PaCA (ICLR 2025), stated exactly. The paper: if ∇f is L-Lipschitz and gradient descent with the step size η updates only the partial
   connections P, then

     f(Wᵏ⁺¹, Xᵏ⁺¹) ≤ f(Wᵏ, Xᵏ) − η(1 − ηL/2) ‖∇P‖²,

   so that the loss falls for 0 < η < 2/L. Below, the batch X is fixed (6a says why) and belongs to f; P is the projection on the trained coordinates,
   whichever they are; ‖∇P‖ is ‖P∇f(W)‖; and W⁺ = W − ηP∇f(W). The definitions are in Definitions.v, the proofs in the other files. Nothing is assumed
   but what stands before an arrow and the axioms of the standard library's real numbers. *)
From Partensor Require Import Definitions.
From Partensor Require Descent Curvature Run Stochastic Counterexamples.

(* ---- 1. Descent.
   If ‖P∇f(W + u) − P∇f(W)‖ ≤ L_P‖u‖ for u on the segment [0, W⁺ − W], then f(W⁺) ≤ f(W) − η(1 − ηL_P/2)‖P∇f(W)‖², for every real η.
   Only the segment of the step matters: a deep network has no global L. *)
Theorem descent : forall n (f : vec n -> R) (g : vec n -> vec n) (P : mask n) (W : vec n) (η L_P : R),
  let W' := step P η g W in
  (forall u, on_segment (W' ⊖ W) u -> gradient_at f (W ⊕ u) (g (W ⊕ u))) ->
  (forall u, on_segment (W' ⊖ W) u -> ‖P ⋅ g (W ⊕ u) ⊖ P ⋅ g W‖ <= L_P * ‖u‖) ->
  f W' <= f W - η * (1 - η * L_P / 2) * ‖P ⋅ g W‖ ^ 2.
Proof. exact Descent.descent. Qed.

(* The paper's form, with the batch fixed: ∇f is L-Lipschitz everywhere. *)
Theorem paper_theorem_1 : forall n (f : vec n -> R) (g : vec n -> vec n) (P : mask n) (W : vec n) (η L : R),
  is_gradient f g -> lipschitz g L ->
  f (step P η g W) <= f W - η * (1 - η * L / 2) * ‖P ⋅ g W‖ ^ 2.
Proof. exact Curvature.global_descent. Qed.

(* ---- 2. The constant.
   a. Only the curvature inside the mask counts. Every L of ∇f is one of P∇f on every slice W⁰ + range P, and the least one there, L_P, is at most L.
   A constant of the slice serves every step that starts on the slice. *)
Theorem slice_constant_at_most_global : forall n (P : mask n) (g : vec n -> vec n) (W0 : vec n) (L : R),
  lipschitz g L -> slice_lipschitz P g W0 L /\ (0 <= L -> forall L_P, least_slice_constant P g W0 L_P -> L_P <= L).
Proof. exact Curvature.slice_constant_at_most_global. Qed.

Theorem slice_constant_serves_every_step : forall n (P : mask n) (g : vec n -> vec n) (W0 W : vec n) (L_P η : R) (u : vec n),
  slice P W0 W -> slice_lipschitz P g W0 L_P -> on_segment (step P η g W ⊖ W) u -> ‖P ⋅ g (W ⊕ u) ⊖ P ⋅ g W‖ <= L_P * ‖u‖.
Proof. exact Curvature.slice_segment. Qed.

(* b. If ∇f is differentiable, with the Hessian H, then L_P = sup { ‖P H(x) P v‖ : x on the slice, ‖v‖ ≤ 1 }, which is sup ‖PHP‖ over the slice. *)
Theorem slice_constant_is_sup_of_curvature : forall n (P : mask n) (g : vec n -> vec n) (H : vec n -> matrix n) (W0 : vec n) (L_P : R),
  (forall x, slice P W0 x -> hessian_at g x (H x)) ->
  least_slice_constant P g W0 L_P <-> is_lub (fun r => exists x v, slice P W0 x /\ ‖v‖ <= 1 /\ r = ‖compress P (H x) v‖) L_P.
Proof. exact Curvature.least_slice_constant_is_sup. Qed.

(* The same for one step: ‖PHP‖ ≤ L_P on its segment gives the hypothesis of statement 1. *)
Theorem curvature_gives_lipschitz : forall n (P : mask n) (g : vec n -> vec n) (H : vec n -> matrix n) (W : vec n) (η L_P : R),
  let W' := step P η g W in
  (forall u, on_segment (W' ⊖ W) u -> hessian_at g (W ⊕ u) (H (W ⊕ u))) ->
  (forall u v, on_segment (W' ⊖ W) u -> ‖compress P (H (W ⊕ u)) v‖ <= L_P * ‖v‖) ->
  forall u, on_segment (W' ⊖ W) u -> ‖P ⋅ g (W ⊕ u) ⊖ P ⋅ g W‖ <= L_P * ‖u‖.
Proof. exact Curvature.curvature_step. Qed.

(* c. One side is enough: the second derivative along the step D = W⁺ − W bounded from above, ⟨D, H D⟩ ≤ L_P‖D‖²; and so is λ_max(PHP)⁺ ≤ L_P,
   however negative the other eigenvalues are. *)
Theorem descent_by_curvature_of_the_step : forall n (f : vec n -> R) (g : vec n -> vec n) (H : vec n -> matrix n)
    (P : mask n) (W : vec n) (η L_P : R),
  let W' := step P η g W in
  (forall u, on_segment (W' ⊖ W) u -> gradient_at f (W ⊕ u) (g (W ⊕ u))) ->
  (forall u, on_segment (W' ⊖ W) u -> hessian_at g (W ⊕ u) (H (W ⊕ u))) ->
  (let D := W' ⊖ W in forall u, on_segment D u -> ⟨D, apply (H (W ⊕ u)) D⟩ <= L_P * ‖D‖ ^ 2) ->
  f W' <= f W - η * (1 - η * L_P / 2) * ‖P ⋅ g W‖ ^ 2.
Proof. exact Curvature.one_sided_descent. Qed.

Theorem descent_by_largest_eigenvalue : forall n (f : vec n -> R) (g : vec n -> vec n) (H : vec n -> matrix n)
    (P : mask n) (W : vec n) (η L_P : R),
  let W' := step P η g W in
  (forall u, on_segment (W' ⊖ W) u -> gradient_at f (W ⊕ u) (g (W ⊕ u))) ->
  (forall u, on_segment (W' ⊖ W) u -> hessian_at g (W ⊕ u) (H (W ⊕ u))) ->
  (forall u, on_segment (W' ⊖ W) u -> exists λ, largest_eigenvalue P (H (W ⊕ u)) λ /\ Rmax λ 0 <= L_P) ->
  f W' <= f W - η * (1 - η * L_P / 2) * ‖P ⋅ g W‖ ^ 2.
Proof. exact Curvature.eigenvalue_descent. Qed.

(* ---- 3. Strict decrease, if η > 0, ηL_P < 2 and P∇f(W) ≠ 0. *)
Theorem strict_decrease : forall n (f : vec n -> R) (g : vec n -> vec n) (P : mask n) (W : vec n) (η L_P : R),
  let W' := step P η g W in
  (forall u, on_segment (W' ⊖ W) u -> gradient_at f (W ⊕ u) (g (W ⊕ u))) ->
  (forall u, on_segment (W' ⊖ W) u -> ‖P ⋅ g (W ⊕ u) ⊖ P ⋅ g W‖ <= L_P * ‖u‖) ->
  0 < η -> η * L_P < 2 -> P ⋅ g W <> zero -> f W' < f W.
Proof. exact Descent.strict_descent. Qed.

(* ---- 4. A whole run.
   If f ≥ f_inf on the slice, η > 0 and ηL_P < 2, then min_{k < N} ‖P∇f(Wᵏ)‖² ≤ (f(W⁰) − f_inf) / (Nη(1 − ηL_P/2)): some k < N is that small.
   Hence P∇f(Wᵏ) → 0. *)
Theorem some_gradient_is_small : forall n (f : vec n -> R) (g : vec n -> vec n) (P : mask n) (W0 : vec n) (η L_P f_inf : R),
  (forall W, slice P W0 W -> gradient_at f W (g W)) -> slice_lipschitz P g W0 L_P -> (forall W, slice P W0 W -> f_inf <= f W) ->
  0 < η -> η * L_P < 2 -> forall N, (0 < N)%nat ->
  exists k, (k < N)%nat /\ ‖P ⋅ g (iterate P η g W0 k)‖ ^ 2 <= (f W0 - f_inf) / (INR N * (η * (1 - η * L_P / 2))).
Proof. exact @Run.small_gradient. Qed.

Theorem gradient_vanishes : forall n (f : vec n -> R) (g : vec n -> vec n) (P : mask n) (W0 : vec n) (η L_P f_inf : R),
  (forall W, slice P W0 W -> gradient_at f W (g W)) -> slice_lipschitz P g W0 L_P -> (forall W, slice P W0 W -> f_inf <= f W) ->
  0 < η -> η * L_P < 2 -> Un_cv (fun k => ‖P ⋅ g (iterate P η g W0 k)‖) 0.
Proof. exact @Run.vanishing_gradient. Qed.

(* ---- 5. Stochastic gradients, over a finite sample space, of which a is an outcome and d gives the probabilities. W is given.
   If E[Pg] = P∇F(W) and E‖Pg − P∇F(W)‖² ≤ σ², the masked variance, then E F(W⁺) ≤ F(W) − η(1 − ηL_P/2)‖P∇F(W)‖² + η²L_Pσ²/2. *)
Theorem stochastic_descent : forall A n (d : distribution A) (F : vec n -> R) (gradF : vec n -> vec n) (g : A -> vec n -> vec n)
    (P : mask n) (W : vec n) (η L_P σ : R),
  is_distribution d -> 0 <= L_P ->
  (forall p a u, In (p, a) d -> on_segment (step P η (g a) W ⊖ W) u -> gradient_at F (W ⊕ u) (gradF (W ⊕ u))) ->
  (forall p a u, In (p, a) d -> on_segment (step P η (g a) W ⊖ W) u -> ‖P ⋅ gradF (W ⊕ u) ⊖ P ⋅ gradF W‖ <= L_P * ‖u‖) ->
  (forall i, expect d (fun a => (P ⋅ g a W) i) = (P ⋅ gradF W) i) ->
  expect d (fun a => ‖P ⋅ g a W ⊖ P ⋅ gradF W‖ ^ 2) <= σ ^ 2 ->
  expect d (fun a => F (step P η (g a) W)) <= F W - η * (1 - η * L_P / 2) * ‖P ⋅ gradF W‖ ^ 2 + η ^ 2 * L_P * σ ^ 2 / 2.
Proof. exact @Stochastic.stochastic. Qed.

(* Its first hypothesis on g holds of a random batch: if F is the mean of the losses f(·, a), the mean of their gradients is the gradient of F. *)
Theorem batch_gradient_is_unbiased : forall A n (d : distribution A) (f : A -> vec n -> R) (g : A -> vec n -> vec n) (P : mask n) (W : vec n),
  (forall a, gradient_at (f a) W (g a W)) ->
  let gradF := fun i => expect d (fun a => g a W i) in
  gradient_at (fun W => expect d (fun a => f a W)) W gradF /\ forall i, expect d (fun a => (P ⋅ g a W) i) = (P ⋅ gradF) i.
Proof. exact @Stochastic.unbiased. Qed.

(* ---- 6. What does not hold.
   a. The literal form, with f(W⁺, X') of the next batch on the left. Here f(W, x) = ½‖W − x‖² on the line, whose gradient W − x is 1-Lipschitz for
   every x; with W = 1, x = 0, x' = −3 the inequality fails for every 0 < η < 2/L. *)
Theorem changing_batch_fails :
  let f (x W : vec 1) := half_square 1 (W ⊖ x) in
  let g (x W : vec 1) := W ⊖ x in
  let point (a : R) : vec 1 := fun _ => a in
  let W := point 1 in let x := point 0 in let x' := point (-3) in
  (forall x, is_gradient (f x) (g x) /\ lipschitz (g x) 1) /\
  forall η, 0 < η < 2 / 1 -> ~ f x' (step everything η (g x) W) <= f x W - η * (1 - η * 1 / 2) * ‖everything ⋅ g x W‖ ^ 2.
Proof. exact Counterexamples.changing_batch_fails. Qed.

(* b. P∇f → 0 gives neither ∇f → 0 nor a minimum. f = ½‖W‖² on the plane, from (1, 1) with one coordinate frozen: P∇f(Wᵏ) → 0, but ‖∇f(Wᵏ)‖ ≥ 1, and
   f(Wᵏ) stays at least ½ above f(0, 0). *)
Theorem frozen_gradient_stays :
  let f : vec 2 -> R := half_square 1 in
  let g (W : vec 2) := 1 ⊙ W in
  let P : mask 2 := fun i => match i with Fin.F1 => true | Fin.FS _ => false end in
  let W0 : vec 2 := fun _ => 1 in
  is_gradient f g /\ lipschitz g 1 /\
  forall η, 0 < η < 2 / 1 ->
  let W := iterate P η g W0 in
  Un_cv (fun k => ‖P ⋅ g (W k)‖) 0 /\ (forall k, 1 <= ‖g (W k)‖) /\ (forall k, f zero + 1 / 2 <= f (W k)).
Proof. exact Counterexamples.frozen_gradient_stays. Qed.

(* Nor is it a minimum of the slice: with everything trained, a run from 0 on f(w) = cos w, which is bounded and has a 1-Lipschitz gradient,
   stays for ever where f is greatest. *)
Theorem maximum_is_stationary :
  let f (W : vec 1) := cos (W Fin.F1) in
  let g (W : vec 1) : vec 1 := fun _ => - sin (W Fin.F1) in
  is_gradient f g /\ lipschitz g 1 /\
  forall η k, let W := iterate everything η g zero k in
  g W = zero /\ (forall V, -1 <= f V <= f W) /\ exists V, f V < f W.
Proof. exact Counterexamples.maximum_is_stationary. Qed.

(* c. Above 2/L a step can ascend: on f = L/2 ‖W‖² it does, for every mask, wherever P∇f ≠ 0. *)
Theorem ascends_above_two_over_L : forall n (L : R) (P : mask n) (η : R) (W : vec n),
  0 < L -> 2 / L < η -> P ⋅ (L ⊙ W) <> zero -> half_square L W < half_square L (step P η (fun W => L ⊙ W) W).
Proof. exact Counterexamples.overshoot. Qed.

(* ---- 7. Equality, and what is frozen.
   f = L/2 ‖W‖² has the gradient LW, for which ‖∇f(x) − ∇f(y)‖ is L‖x − y‖; statement 1 is an equality there, for every mask and every η. *)
Theorem equality : forall n (L : R), 0 <= L ->
  let f : vec n -> R := half_square L in
  let g (W : vec n) := L ⊙ W in
  is_gradient f g /\ (forall x y, ‖g x ⊖ g y‖ = L * ‖x ⊖ y‖) /\
  forall (P : mask n) η W, f (step P η g W) = f W - η * (1 - η * L / 2) * ‖P ⋅ g W‖ ^ 2.
Proof. exact Descent.equality. Qed.

(* A frozen coordinate never changes: every Wᵏ lies on the slice W⁰ + range P. *)
Theorem frozen_coordinates_are_unchanged : forall n (P : mask n) (η : R) (g : vec n -> vec n) (W0 : vec n) k i,
  P i = false -> iterate P η g W0 k i = W0 i.
Proof. exact Descent.iterate_slice. Qed.
