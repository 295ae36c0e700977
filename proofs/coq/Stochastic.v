(* Statement 5: one step with a random gradient, over a finite sample space. *)
From Coq Require Import Lra.
From Partensor Require Export Curvature.

(* The expectation is linear, monotone where the outcomes have a probability, and 1 of 1. *)
Lemma expect_add {A} (d : distribution A) X Y : expect d (fun a => X a + Y a) = expect d X + expect d Y.
Proof. induction d as [|[p a] d IH]; simpl; lra. Qed.

Lemma expect_scale {A} (d : distribution A) c X : expect d (fun a => c * X a) = c * expect d X.
Proof. induction d as [|[p a] d IH]; simpl; lra. Qed.

Lemma expect_ext {A} (d : distribution A) X Y : (forall a, X a = Y a) -> expect d X = expect d Y.
Proof. intro same; induction d as [|[p a] d IH]; simpl; [reflexivity | rewrite same, IH; reflexivity]. Qed.

Lemma expect_const {A} (d : distribution A) c : is_distribution d -> expect d (fun _ => c) = c.
Proof. intros [_ one]; rewrite <- (Rmult_1_r c), (expect_scale d c (fun _ => 1)), one; ring. Qed.

Lemma expect_le {A} (d : distribution A) X Y :
  (forall p a, In (p, a) d -> 0 <= p) -> (forall p a, In (p, a) d -> X a <= Y a) -> expect d X <= expect d Y.
Proof.
  induction d as [|[p a] d IH]; simpl; intros pos le; [lra|].
  specialize (IH (fun p a i => pos p a (or_intror i)) (fun p a i => le p a (or_intror i))).
  specialize (pos p a (or_introl eq_refl)); specialize (le p a (or_introl eq_refl)); nra.
Qed.

(* E⟨v, w⟩ = ⟨E v, w⟩. *)
Lemma expect_dot {A} n (d : distribution A) (v : A -> vec n) w : expect d (fun a => ⟨v a, w⟩) = ⟨fun i => expect d (fun a => v a i), w⟩.
Proof.
  unfold dot; induction n as [|n IH]; simpl.
  - induction d as [|[p a] d IH]; simpl; lra.
  - rewrite expect_add; f_equal.
    + rewrite Rmult_comm, <- expect_scale; apply expect_ext; intro; ring.
    + apply (IH (fun a i => v a (Fin.FS i)) (fun i => w (Fin.FS i))).
Qed.

(* For each outcome F(W⁺) ≤ F − η⟨P∇F, g⟩ + η²L/2 ‖g‖² with g = Pg. In expectation ⟨P∇F, g⟩ is ‖P∇F‖², and ‖g‖² is ‖P∇F‖² and the variance. *)
Lemma stochastic {A} n (d : distribution A) (F : vec n -> R) (gradF : vec n -> vec n) (g : A -> vec n -> vec n) (P : mask n) W η L σ :
  is_distribution d -> 0 <= L ->
  (forall p a u, In (p, a) d -> on_segment (step P η (g a) W ⊖ W) u -> gradient_at F (W ⊕ u) (gradF (W ⊕ u))) ->
  (forall p a u, In (p, a) d -> on_segment (step P η (g a) W ⊖ W) u -> ‖P ⋅ gradF (W ⊕ u) ⊖ P ⋅ gradF W‖ <= L * ‖u‖) ->
  (forall i, expect d (fun a => (P ⋅ g a W) i) = (P ⋅ gradF W) i) ->
  expect d (fun a => ‖P ⋅ g a W ⊖ P ⋅ gradF W‖ ^ 2) <= σ ^ 2 ->
  expect d (fun a => F (step P η (g a) W)) <= F W - η * (1 - η * L / 2) * ‖P ⋅ gradF W‖ ^ 2 + η ^ 2 * L * σ ^ 2 / 2.
Proof.
  intros dist pos grad lip unbiased variance; set (G := P ⋅ gradF W) in *.
  assert (inner : expect d (fun a => ⟨P ⋅ g a W, G⟩) = ‖G‖ ^ 2).
  { rewrite expect_dot, norm_square; f_equal; apply FunctionalExtensionality.functional_extensionality, unbiased. }
  assert (outcome : forall p a, In (p, a) d ->
    F (step P η (g a) W) <= F W + (- η * ⟨P ⋅ g a W, G⟩ + L / 2 * η ^ 2 * (‖P ⋅ g a W ⊖ G‖ ^ 2 + (2 * ⟨P ⋅ g a W, G⟩ + - ‖G‖ ^ 2)))).
  { intros p a possible; specialize (grad p a); specialize (lip p a); rewrite update_step in grad, lip; rewrite step_update.
    pose proof (lipschitz_quadratic_bound n F gradF P W _ L (update_inside n P η (g a) W)
      (fun u => grad u possible) (fun u => lip u possible)) as bound.
    rewrite norm_update in bound; unfold update at 2 in bound.
    rewrite dot_scale_r, <- project_twice, <- project_symmetric, dot_comm, project_twice in bound; fold G in bound.
    rewrite norm_subtract_square; lra. }
  apply (expect_le d _ _ (proj1 dist)) in outcome; apply (Rle_trans _ _ _ outcome).
  rewrite expect_add, (expect_const d (F W) dist), expect_add, !expect_scale, expect_add, expect_add, expect_scale, inner.
  rewrite (expect_const d (- ‖G‖ ^ 2) dist).
  assert (0 <= L / 2 * η ^ 2) by (apply Rmult_le_pos; [lra | apply pow2_ge_0]). nra.
Qed.

(* The gradient of a mean is the mean of the gradients. *)
Lemma mean_gradient {A} n (d : distribution A) (f : A -> vec n -> R) (g : A -> vec n -> vec n) W :
  (forall a, gradient_at (f a) W (g a W)) -> gradient_at (fun W => expect d (fun a => f a W)) W (fun i => expect d (fun a => g a W i)).
Proof.
  intros each D; rewrite <- expect_dot; induction d as [|[p a] d IH]; simpl; [apply derivable_pt_lim_const|].
  apply (derivable_pt_lim_plus (fun t => p * f a (W ⊕ t ⊙ D))); [|exact IH].
  apply (derivable_pt_lim_scal (fun t => f a (W ⊕ t ⊙ D))), each.
Qed.

Lemma project_mean {A} n (d : distribution A) (g : A -> vec n) (P : mask n) i :
  expect d (fun a => (P ⋅ g a) i) = (P ⋅ (fun i => expect d (fun a => g a i))) i.
Proof.
  unfold project; destruct (P i); [reflexivity|].
  rewrite (expect_ext d _ (fun a => 0 * 0)) by (intro; ring); rewrite expect_scale; ring.
Qed.

Lemma unbiased {A} n (d : distribution A) (f : A -> vec n -> R) (g : A -> vec n -> vec n) (P : mask n) W :
  (forall a, gradient_at (f a) W (g a W)) ->
  let gradF := fun i => expect d (fun a => g a W i) in
  gradient_at (fun W => expect d (fun a => f a W)) W gradF /\ forall i, expect d (fun a => (P ⋅ g a W) i) = (P ⋅ gradF) i.
Proof. intro each; split; [apply mean_gradient, each | intro; apply (project_mean n d (fun a => g a W))]. Qed.
