(* What the words of Statements.v mean. A reader who trusts Coq has to read this file and that one, no other. *)
From Coq Require Export Reals List.
From Coq Require Fin.
Export ListNotations.
Open Scope R_scope.

(* Rⁿ. A vector is a function from its n coordinates; all weights of a model, laid end to end, are one vector W. *)
Definition vec (n : nat) := Fin.t n -> R.

Fixpoint sum {n} : vec n -> R :=
  match n with
  | O => fun _ => 0
  | S _ => fun x => x Fin.F1 + sum (fun i => x (Fin.FS i))
  end.

Definition zero {n} : vec n := fun _ => 0.
Definition add {n} (x y : vec n) : vec n := fun i => x i + y i.
Definition subtract {n} (x y : vec n) : vec n := fun i => x i - y i.
Definition scale {n} (a : R) (x : vec n) : vec n := fun i => a * x i.
Definition dot {n} (x y : vec n) : R := sum (fun i => x i * y i).
Definition norm {n} (x : vec n) : R := sqrt (dot x x).

(* A mask says which coordinates are trained (`true`) and which are frozen. As a projection P it keeps the first and puts 0 for the others;
   PaCA's masks choose columns of each weight, but nothing below depends on which coordinates they are. *)
Definition mask (n : nat) := Fin.t n -> bool.
Definition project {n} (P : mask n) (x : vec n) : vec n := fun i => if P i then x i else 0.
Definition everything {n} : mask n := fun _ => true.

Notation "x ⊕ y" := (add x y) (at level 50, left associativity).
Notation "x ⊖ y" := (subtract x y) (at level 50, left associativity).
Notation "a ⊙ x" := (scale a x) (at level 40, left associativity).
Notation "⟨ x , y ⟩" := (dot x y) (at level 0).
Notation "‖ x ‖" := (norm x) (at level 20, x at level 99).
Notation "P ⋅ x" := (project P x) (at level 25, right associativity).

(* v is the gradient of f at W: along every direction D, t ↦ f(W + tD) has at t = 0 the derivative ⟨v, D⟩. (No more is asked: not that f is
   differentiable in the sense of Fréchet, nor that the gradient is continuous.) *)
Definition gradient_at {n} (f : vec n -> R) (W v : vec n) : Prop :=
  forall D, derivable_pt_lim (fun t => f (W ⊕ t ⊙ D)) 0 ⟨v, D⟩.
Definition is_gradient {n} (f : vec n -> R) (g : vec n -> vec n) : Prop := forall W, gradient_at f W (g W).

(* A matrix by its rows, its product with a vector, and P H P. *)
Definition matrix (n : nat) := Fin.t n -> vec n.
Definition apply {n} (H : matrix n) (x : vec n) : vec n := fun i => ⟨H i, x⟩.
Definition compress {n} (P : mask n) (H : matrix n) (x : vec n) : vec n := P ⋅ apply H (P ⋅ x).

(* H is the Hessian at W of the function whose gradient is g: along every D, g(W + tD) has at t = 0 the derivative H D, coordinate by coordinate. *)
Definition hessian_at {n} (g : vec n -> vec n) (W : vec n) (H : matrix n) : Prop :=
  forall D i, derivable_pt_lim (fun t => g (W ⊕ t ⊙ D) i) 0 (apply H D i).

(* λ is the largest eigenvalue of the symmetric matrix P H P, by its Rayleigh quotient: λ = sup { ⟨v, PHP v⟩ : ‖v‖ = 1 }. *)
Definition largest_eigenvalue {n} (P : mask n) (H : matrix n) (λ : R) : Prop :=
  is_lub (fun r => exists v, ‖v‖ = 1 /\ r = ⟨v, compress P H v⟩) λ.

(* One step of gradient descent on the trained coordinates, W⁺ = W − ηP∇f(W), and the run W⁰, W¹, W², … that repeats it. *)
Definition step {n} (P : mask n) (η : R) (g : vec n -> vec n) (W : vec n) : vec n := W ⊖ η ⊙ (P ⋅ g W).
Fixpoint iterate {n} (P : mask n) (η : R) (g : vec n -> vec n) (W0 : vec n) (k : nat) : vec n :=
  match k with
  | O => W0
  | S k => step P η g (iterate P η g W0 k)
  end.

(* u lies on the segment [0, D]. *)
Definition on_segment {n} (D u : vec n) : Prop := exists t, 0 <= t <= 1 /\ u = t ⊙ D.
(* W lies on the slice W⁰ + range P: its frozen coordinates are those of W⁰. *)
Definition slice {n} (P : mask n) (W0 W : vec n) : Prop := forall i, P i = false -> W i = W0 i.

(* ∇f is L-Lipschitz; P∇f is, on the slice; and L_P, the least such constant there. *)
Definition lipschitz {n} (g : vec n -> vec n) (L : R) : Prop := forall x y, ‖g x ⊖ g y‖ <= L * ‖x ⊖ y‖.
Definition slice_lipschitz {n} (P : mask n) (g : vec n -> vec n) (W0 : vec n) (L : R) : Prop :=
  forall x y, slice P W0 x -> slice P W0 y -> ‖P ⋅ g x ⊖ P ⋅ g y‖ <= L * ‖x ⊖ y‖.
Definition least_slice_constant {n} (P : mask n) (g : vec n -> vec n) (W0 : vec n) (L : R) : Prop :=
  0 <= L /\ slice_lipschitz P g W0 L /\ forall M, 0 <= M -> slice_lipschitz P g W0 M -> L <= M.

(* A finite sample space: outcomes with their probabilities. *)
Definition distribution (A : Type) := list (R * A).
Fixpoint expect {A} (d : distribution A) (X : A -> R) : R :=
  match d with
  | [] => 0
  | (p, a) :: d => p * X a + expect d X
  end.
Definition is_distribution {A} (d : distribution A) : Prop := (forall p a, In (p, a) d -> 0 <= p) /\ expect d (fun _ => 1) = 1.

(* f(W) = L/2 ‖W‖², on which everything above is an equality. *)
Definition half_square {n} (L : R) (W : vec n) : R := L / 2 * ‖W‖ ^ 2.
