use regflow_plugin::abi::op::{self, key};

use crate::tensor::tests::{Attributes, Case, Random, difference, f64s, flat, none};

pub(in crate::tensor) fn cases() -> Vec<Case> {
    let mut random = Random::new(118);
    let mut cases = Vec::new();
    for inverse in [0, 1] {
        for shape in [&[3, 5][..], &[17, 33]] {
            let inputs = vec![
                random.tensor(2.0, shape),
                random.tensor(3.0, shape),
                random.tensor(1.0, shape),
            ];
            let attributes = none().float(key::LIMIT, 1.5).int(key::INVERSE, inverse);
            cases.push(Case::new(op::AFFINE_COUPLING, inputs).with(attributes));
        }
    }
    cases
}

#[test]
fn affine_coupling_is_inverted_and_takes_views() {
    let mut random = Random::new(17);
    let x = random.tensor(2.0, &[37, 6]);
    let both = random.tensor(3.0, &[37, 12]);
    let (s, t) = (both.narrow(1, 0, 6).unwrap(), both.narrow(1, 6, 6).unwrap());
    let case = |inverse| {
        let attributes = Attributes::default()
            .float(key::LIMIT, 2.0)
            .int(key::INVERSE, inverse);
        Case::new(op::AFFINE_COUPLING, vec![]).with(attributes)
    };
    let y = case(0).run(&[x.clone(), s.clone(), t.clone()], true);
    let back = case(1).run(&[y[0].clone(), s.clone(), t.clone()], true);
    assert!(difference(&back[0], &x) < 1e-14);
    assert!(difference(&back[1], &y[1].neg().unwrap()) < 1e-14);
    let log_scale: Vec<f64> = flat(&s.contiguous().unwrap())
        .iter()
        .map(|s| 2.0 * (s / 2.0).tanh())
        .collect();
    let expected = f64s(&log_scale, &[37, 6]).sum(1).unwrap();
    assert!(difference(&y[1], &expected) < 1e-14);
}
