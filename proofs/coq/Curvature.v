(* The constant L_P of the slice W⁰ + range P: it is at most the global L, and for twice differentiable f it is sup ‖P H P‖. *)
From Coq Require Import Lra.
From Partensor Require Export Descent.

Lemma slice_difference n (P : mask n) W0 x y : slice P W0 x -> slice P W0 y -> P ⋅ (x ⊖ y) = x ⊖ y.
Proof.
  intros sx sy; apply FunctionalExtensionality.functional_extensionality; intro i; unfold project, subtract.
  destruct (P i) eqn:Pi; [reflexivity | rewrite sx, sy by exact Pi; ring].
Qed.

Lemma slice_along n (P : mask n) W0 x t v : slice P W0 x -> slice P W0 (x ⊕ t ⊙ (P ⋅ v)).
Proof. intros sx i frozen; unfold add, scale, project; rewrite frozen, sx by exact frozen; ring. Qed.

(* A constant of the slice serves every step that starts on it. *)
Lemma slice_segment n (P : mask n) g W0 W L η u :
  slice P W0 W -> slice_lipschitz P g W0 L -> on_segment (step P η g W ⊖ W) u -> ‖P ⋅ g (W ⊕ u) ⊖ P ⋅ g W‖ <= L * ‖u‖.
Proof.
  intros on lip [t [range ->]].
  replace (t ⊙ (step P η g W ⊖ W)) with (W ⊕ t ⊙ (step P η g W ⊖ W) ⊖ W) at 2 by coordinates.
  apply lip; [|exact on].
  replace (step P η g W ⊖ W) with (P ⋅ ((- η) ⊙ g W)) by coordinates.
  apply slice_along, on.
Qed.

(* Statement 2a: P shortens, so a constant of ∇f is one of P∇f, on every slice and for every mask. *)
Lemma lipschitz_slice n (P : mask n) g W0 L : lipschitz g L -> slice_lipschitz P g W0 L.
Proof.
  intros lip x y _ _; rewrite <- project_subtract.
  apply Rle_trans with (‖g x ⊖ g y‖); [apply norm_project | apply lip].
Qed.

Lemma slice_constant_at_most_global n (P : mask n) g W0 L :
  lipschitz g L -> slice_lipschitz P g W0 L /\ (0 <= L -> forall L_P, least_slice_constant P g W0 L_P -> L_P <= L).
Proof.
  intro lip; pose proof (lipschitz_slice n P g W0 L lip) as on; split; [exact on|].
  intros pos L_P (_ & _ & least); apply least; assumption.
Qed.

Lemma global_descent n (f : vec n -> R) g (P : mask n) W η L :
  is_gradient f g -> lipschitz g L -> f (step P η g W) <= f W - η * (1 - η * L / 2) * ‖P ⋅ g W‖ ^ 2.
Proof.
  intros grad lip; apply descent; [intros; apply grad|].
  intro u; apply (slice_segment n P g W W L η u); [intros i _; reflexivity | apply lipschitz_slice, lip].
Qed.

(* Statement 2b. With w = P∇f(x) − P∇f(y): ‖w‖² = ⟨P∇f(x) − P∇f(y), w⟩ = ⟨PHP(x − y), w⟩, with H taken somewhere between y and x. Instead of that
   mean value, the bound of its derivative is integrated. *)
Lemma curvature_segment n (P : mask n) g (H : vec n -> matrix n) W u L :
  P ⋅ u = u ->
  (forall v, on_segment u v -> hessian_at g (W ⊕ v) (H (W ⊕ v))) ->
  (forall v, on_segment u v -> ‖compress P (H (W ⊕ v)) u‖ <= L * ‖u‖) ->
  ‖P ⋅ g (W ⊕ u) ⊖ P ⋅ g W‖ <= L * ‖u‖.
Proof.
  intros inside hess bound; set (w := P ⋅ g (W ⊕ u) ⊖ P ⋅ g W).
  apply norm_le_by_dot.
  { apply Rle_trans with (2 := bound u ltac:(exists 1; split; [lra | coordinates])), norm_nonneg. }
  pose proof (norm_nonneg n w).
  assert (Pw : P ⋅ w = w) by (unfold w; rewrite project_subtract, !project_twice; reflexivity).
  pose proof (growth (fun t => ⟨g (W ⊕ t ⊙ u), w⟩) (fun t => ⟨apply (H (W ⊕ t ⊙ u)) u, w⟩) (L * ‖u‖ * ‖w‖) 0) as grows; simpl in grows.
  replace (W ⊕ 1 ⊙ u) with (W ⊕ u) in grows by coordinates; replace (W ⊕ 0 ⊙ u) with W in grows by coordinates.
  unfold w at 1; rewrite dot_subtract, !project_symmetric, Pw.
  enough (⟨g (W ⊕ u), w⟩ <= ⟨g W, w⟩ + L * ‖u‖ * ‖w‖ + 0 / 2) by lra.
  apply grows; intros t range; assert (on : on_segment u (t ⊙ u)) by (exists t; auto).
  - apply (derivable_dot n (fun t => g (W ⊕ t ⊙ u))); intro i.
    apply (derivable_shift n (fun x => g x i)), (hess _ on).
  - specialize (bound _ on); pose proof (cauchy_schwarz n (compress P (H (W ⊕ t ⊙ u)) u) w) as cs.
    unfold compress at 1 in cs; rewrite project_symmetric, Pw, inside in cs. nra.
Qed.

(* Conversely, a constant of the slice bounds PHP: ⟨PHPv, w⟩ is the derivative at 0 of t ↦ ⟨P∇f(x + tPv), w⟩, which grows at most by L‖Pv‖‖w‖t. *)
Lemma lipschitz_curvature n (P : mask n) g (H : matrix n) W0 x v L :
  0 <= L -> slice P W0 x -> hessian_at g x H -> slice_lipschitz P g W0 L -> ‖compress P H v‖ <= L * ‖v‖.
Proof.
  intros pos on hess lip; set (w := compress P H v).
  assert (Pw : P ⋅ w = w) by apply project_twice.
  pose proof (norm_nonneg n v); pose proof (norm_nonneg n w).
  apply norm_le_by_dot; [nra|].
  unfold w at 1, compress; rewrite project_symmetric, Pw.
  apply (derivative_le_slope (fun t => ⟨g (x ⊕ t ⊙ (P ⋅ v)), w⟩)).
  - apply (derivable_dot n (fun t => g (x ⊕ t ⊙ (P ⋅ v)))); intro; apply hess.
  - intros t after; replace (x ⊕ 0 ⊙ (P ⋅ v)) with x by coordinates.
    rewrite <- dot_subtract, <- Pw, <- project_symmetric, project_subtract.
    specialize (lip _ _ (slice_along n P W0 x t v on) on).
    replace (x ⊕ t ⊙ (P ⋅ v) ⊖ x) with (t ⊙ (P ⋅ v)) in lip by coordinates.
    rewrite norm_scale, Rabs_pos_eq in lip by lra.
    rewrite Pw; pose proof (cauchy_schwarz n (P ⋅ g (x ⊕ t ⊙ (P ⋅ v)) ⊖ P ⋅ g x) w) as cs.
    apply (Rle_trans _ _ _ cs); pose proof (norm_project n P v) as shorter.
    apply Rle_trans with (L * (t * ‖v‖) * ‖w‖); [|right; ring].
    apply Rmult_le_compat_r; [assumption|]; apply (Rle_trans _ _ _ lip); apply Rmult_le_compat_l; [exact pos | nra].
Qed.

(* The constants of the slice are exactly the bounds of ‖PHP‖ … *)
Lemma slice_constant_iff_curvature n (P : mask n) g (H : vec n -> matrix n) W0 L :
  (forall x, slice P W0 x -> hessian_at g x (H x)) -> 0 <= L ->
  slice_lipschitz P g W0 L <-> forall x v, slice P W0 x -> ‖compress P (H x) v‖ <= L * ‖v‖.
Proof.
  intros hess pos; split.
  - intros lip x v on; apply (lipschitz_curvature n P g (H x) W0 x); auto.
  - intros bound x y sx sy.
    pose proof (slice_difference n P W0 x y sx sy) as inside.
    replace x with (y ⊕ (x ⊖ y)) at 1 by coordinates.
    assert (on : forall v, on_segment (x ⊖ y) v -> slice P W0 (y ⊕ v)).
    { intros v [t [_ ->]]; rewrite <- inside; apply slice_along, sy. }
    apply (curvature_segment n P g H); auto.
Qed.

(* … and a bound of ‖PHPv‖ over ‖v‖ ≤ 1 is one of ‖PHPv‖ / ‖v‖. *)
Lemma compress_scale n (P : mask n) (H : matrix n) a v : compress P H (a ⊙ v) = a ⊙ compress P H v.
Proof.
  unfold compress; rewrite <- project_scale, project_scale; f_equal.
  apply FunctionalExtensionality.functional_extensionality; intro i; apply dot_scale_r.
Qed.

Lemma normalize n (v : vec n) : ‖v‖ <> 0 -> ‖/ ‖v‖ ⊙ v‖ = 1.
Proof.
  intro nonzero; pose proof (norm_nonneg n v).
  rewrite norm_scale, Rabs_pos_eq; [field; exact nonzero | left; apply Rinv_0_lt_compat; lra].
Qed.

Lemma compress_bound n (P : mask n) (H : matrix n) L :
  (forall v, ‖v‖ <= 1 -> ‖compress P H v‖ <= L) <-> (0 <= L /\ forall v, ‖compress P H v‖ <= L * ‖v‖).
Proof.
  split.
  - intro unit; split.
    { apply Rle_trans with (‖compress P H zero‖); [apply norm_nonneg | apply unit; rewrite zero_norm; lra]. }
    intro v; destruct (Req_dec (‖v‖) 0) as [null | nonzero].
    { apply norm_zero in null; subst; replace (@zero n) with (0 ⊙ @zero n) at 1 by coordinates.
      rewrite compress_scale, norm_scale, Rabs_R0, zero_norm; lra. }
    pose proof (norm_nonneg n v); specialize (unit (/ ‖v‖ ⊙ v) ltac:(rewrite normalize; [lra | assumption])).
    rewrite compress_scale, norm_scale, Rabs_pos_eq in unit by (left; apply Rinv_0_lt_compat; lra).
    apply (Rmult_le_compat_r (‖v‖)) in unit; [|assumption].
    replace (/ ‖v‖ * ‖compress P H v‖ * ‖v‖) with (‖compress P H v‖) in unit by (field; assumption). exact unit.
  - intros [pos bound] v short; apply (Rle_trans _ _ _ (bound v)); nra.
Qed.

Lemma least_slice_constant_is_sup n (P : mask n) g (H : vec n -> matrix n) W0 L :
  (forall x, slice P W0 x -> hessian_at g x (H x)) ->
  least_slice_constant P g W0 L <-> is_lub (fun r => exists x v, slice P W0 x /\ ‖v‖ <= 1 /\ r = ‖compress P (H x) v‖) L.
Proof.
  intro hess; set (E := fun r => _).
  assert (same : forall M, is_upper_bound E M <-> 0 <= M /\ slice_lipschitz P g W0 M).
  { intro M; split.
    - intro bound.
      assert (each : forall x, slice P W0 x -> 0 <= M /\ forall v, ‖compress P (H x) v‖ <= M * ‖v‖).
      { intros x on; apply compress_bound; intros v short; apply bound; exists x, v; auto. }
      assert (pos : 0 <= M) by (apply (each W0); intros i _; reflexivity).
      split; [exact pos|]; apply (slice_constant_iff_curvature n P g H W0 M hess pos); intros x v on; apply each, on.
    - intros [pos lip] r (x & v & on & short & ->).
      apply (proj2 (compress_bound n P (H x) M)); [split; [exact pos|] | exact short].
      intro; apply (slice_constant_iff_curvature n P g H W0 M hess pos); assumption. }
  split.
  - intros (pos & lip & least); split; [apply same; auto | intros M bound; apply same in bound; apply least; apply bound].
  - intros [bound least]; apply same in bound; destruct bound as [pos lip].
    split; [exact pos | split; [exact lip | intros M posM lipM; apply least, same; auto]].
Qed.

(* A bound of ‖PHP‖ on the segment of a step gives the Lipschitz hypothesis of statement 1. *)
Lemma curvature_step n (P : mask n) g (H : vec n -> matrix n) W η L :
  (forall u, on_segment (step P η g W ⊖ W) u -> hessian_at g (W ⊕ u) (H (W ⊕ u))) ->
  (forall u v, on_segment (step P η g W ⊖ W) u -> ‖compress P (H (W ⊕ u)) v‖ <= L * ‖v‖) ->
  forall u, on_segment (step P η g W ⊖ W) u -> ‖P ⋅ g (W ⊕ u) ⊖ P ⋅ g W‖ <= L * ‖u‖.
Proof.
  rewrite update_step; intros hess bound _ [t [range ->]].
  assert (shorter : forall v, on_segment (t ⊙ update P η g W) v -> on_segment (update P η g W) v).
  { intros _ [s [between ->]]; exists (s * t); split; [nra | coordinates]. }
  apply (curvature_segment n P g H); [rewrite project_scale, update_inside; reflexivity | |]; auto.
Qed.

(* Statement 2c. One side of the curvature is enough, and only along the step u: if ⟨u, H(W + v)u⟩ ≤ L‖u‖² for v on [0, u], then
   ⟨∇f(W + tu), u⟩ ≤ ⟨∇f(W), u⟩ + Lt‖u‖², since the left side has at t the derivative ⟨H(W + tu)u, u⟩. *)
Lemma one_sided_quadratic_bound n (f : vec n -> R) g (H : vec n -> matrix n) W u L :
  (forall v, on_segment u v -> gradient_at f (W ⊕ v) (g (W ⊕ v))) ->
  (forall v, on_segment u v -> hessian_at g (W ⊕ v) (H (W ⊕ v))) ->
  (forall v, on_segment u v -> ⟨u, apply (H (W ⊕ v)) u⟩ <= L * ‖u‖ ^ 2) ->
  f (W ⊕ u) <= f W + ⟨g W, u⟩ + L / 2 * ‖u‖ ^ 2.
Proof.
  intros grad hess bound; apply quadratic_bound; [intros; apply grad; exists t; auto|].
  intros T rangeT.
  assert (shorter : forall t, 0 <= t <= 1 -> on_segment u (t ⊙ (T ⊙ u))).
  { intros t range; exists (t * T); split; [nra | coordinates]. }
  pose proof (growth (fun t => ⟨g (W ⊕ t ⊙ (T ⊙ u)), u⟩) (fun t => ⟨apply (H (W ⊕ t ⊙ (T ⊙ u))) (T ⊙ u), u⟩) (L * ‖u‖ ^ 2 * T) 0) as grows.
  cbv beta in grows.
  replace (W ⊕ 1 ⊙ (T ⊙ u)) with (W ⊕ T ⊙ u) in grows by coordinates; replace (W ⊕ 0 ⊙ (T ⊙ u)) with W in grows by coordinates.
  enough (⟨g (W ⊕ T ⊙ u), u⟩ <= ⟨g W, u⟩ + L * ‖u‖ ^ 2 * T + 0 / 2) by lra.
  apply grows; intros t range; specialize (shorter t range).
  - apply (derivable_dot n (fun t => g (W ⊕ t ⊙ (T ⊙ u)))); intro i.
    apply (derivable_shift n (fun x => g x i)), (hess _ shorter).
  - specialize (bound _ shorter).
    replace (apply (H (W ⊕ t ⊙ (T ⊙ u))) (T ⊙ u)) with (T ⊙ apply (H (W ⊕ t ⊙ (T ⊙ u))) u).
    + rewrite dot_scale, dot_comm; nra.
    + apply FunctionalExtensionality.functional_extensionality; intro i; symmetry; apply dot_scale_r.
Qed.

(* λ_max(PHP)⁺ ≤ L bounds the curvature along every u inside the mask. *)
Lemma eigenvalue_bound n (P : mask n) (H : matrix n) u L λ :
  P ⋅ u = u -> largest_eigenvalue P H λ -> Rmax λ 0 <= L -> ⟨u, apply H u⟩ <= L * ‖u‖ ^ 2.
Proof.
  intros inside [upper _] below.
  destruct (Req_dec (‖u‖) 0) as [null | nonzero].
  { apply norm_zero in null; subst; rewrite zero_norm; right.
    replace (@zero n) with (0 ⊙ @zero n) at 1 by coordinates; rewrite dot_scale; ring. }
  assert (λ <= L) by (apply Rle_trans with (Rmax λ 0); [apply Rmax_l | exact below]).
  assert (unit : ⟨/ ‖u‖ ⊙ u, compress P H (/ ‖u‖ ⊙ u)⟩ <= λ) by (apply upper; exists (/ ‖u‖ ⊙ u); rewrite normalize; auto).
  rewrite compress_scale, dot_scale, dot_scale_r in unit.
  unfold compress in unit; rewrite <- project_symmetric, inside in unit.
  set (q := ⟨u, apply H u⟩) in *; pose proof (norm_nonneg n u).
  assert (0 < ‖u‖ ^ 2) by nra.
  replace q with (‖u‖ ^ 2 * (/ ‖u‖ * (/ ‖u‖ * q))) by (field; exact nonzero). nra.
Qed.

Lemma one_sided_descent n (f : vec n -> R) g (H : vec n -> matrix n) (P : mask n) W η L :
  (forall u, on_segment (step P η g W ⊖ W) u -> gradient_at f (W ⊕ u) (g (W ⊕ u))) ->
  (forall u, on_segment (step P η g W ⊖ W) u -> hessian_at g (W ⊕ u) (H (W ⊕ u))) ->
  (let D := step P η g W ⊖ W in forall u, on_segment D u -> ⟨D, apply (H (W ⊕ u)) D⟩ <= L * ‖D‖ ^ 2) ->
  f (step P η g W) <= f W - η * (1 - η * L / 2) * ‖P ⋅ g W‖ ^ 2.
Proof.
  cbv zeta; rewrite update_step, step_update; intros grad hess curved.
  pose proof (one_sided_quadratic_bound n f g H W _ L grad hess curved) as bound.
  rewrite dot_update, norm_update in bound; lra.
Qed.

Lemma eigenvalue_descent n (f : vec n -> R) g (H : vec n -> matrix n) (P : mask n) W η L :
  (forall u, on_segment (step P η g W ⊖ W) u -> gradient_at f (W ⊕ u) (g (W ⊕ u))) ->
  (forall u, on_segment (step P η g W ⊖ W) u -> hessian_at g (W ⊕ u) (H (W ⊕ u))) ->
  (forall u, on_segment (step P η g W ⊖ W) u -> exists λ, largest_eigenvalue P (H (W ⊕ u)) λ /\ Rmax λ 0 <= L) ->
  f (step P η g W) <= f W - η * (1 - η * L / 2) * ‖P ⋅ g W‖ ^ 2.
Proof.
  intros grad hess eig; apply (one_sided_descent n f g H); [exact grad | exact hess|].
  intros D u on; destruct (eig u on) as (λ & largest & below).
  apply (eigenvalue_bound n P _ D L λ); [unfold D; rewrite update_step; apply update_inside | exact largest | exact below].
Qed.
