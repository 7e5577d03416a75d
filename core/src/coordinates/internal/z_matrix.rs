use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::coordinates::ZMatrixError;
use crate::coordinates::batch::Fault;
use crate::coordinates::frame::SMALLEST;
use crate::math::angle::torsion_of;
use crate::math::vector::{Vector, add_point, cross, dot, norm, point, scale, set_point, sub};

/// The order in which atoms are placed, and what each is placed relative to.
///
/// Written as one list per atom: `[atom]`, `[atom, bond]`, `[atom, bond, angle]`, then `[atom, bond, angle, torsion]`. The
/// bond length is the distance of atom and `bond`, the angle is atom-`bond`-`angle`, the torsion
/// atom-`bond`-`angle`-`torsion`. Every atom is placed once, relative to different atoms of earlier rows.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Vec<Vec<usize>>", into = "Vec<Vec<usize>>")]
pub struct ZMatrix {
    seeds: [usize; 3],
    /// Bond and angle reference of the third atom.
    third: [usize; 2],
    rows: Vec<[usize; 4]>,
}

impl TryFrom<Vec<Vec<usize>>> for ZMatrix {
    type Error = ZMatrixError;

    fn try_from(lists: Vec<Vec<usize>>) -> Result<Self, ZMatrixError> {
        let rows = lists.len();
        if rows < 3 {
            return Err(ZMatrixError::TooShort { rows });
        }
        let mut placed = vec![false; rows];
        for (row, list) in lists.iter().enumerate() {
            let expected = (row + 1).min(4);
            if list.len() != expected {
                return Err(ZMatrixError::RowLength {
                    row,
                    expected,
                    found: list.len(),
                });
            }
            let (atom, references) = (list[0], &list[1..]);
            if atom >= rows {
                return Err(ZMatrixError::Beyond { row, atom, rows });
            }
            if placed[atom] {
                return Err(ZMatrixError::Repeated { row, atom });
            }
            for (k, &reference) in references.iter().enumerate() {
                if placed.get(reference) != Some(&true) {
                    return Err(ZMatrixError::NotPlaced {
                        row,
                        atom,
                        reference,
                    });
                }
                if references[..k].contains(&reference) {
                    return Err(ZMatrixError::SameReference {
                        row,
                        atom,
                        reference,
                    });
                }
            }
            placed[atom] = true;
        }
        Ok(Self {
            seeds: [lists[0][0], lists[1][0], lists[2][0]],
            third: [lists[2][1], lists[2][2]],
            rows: lists[3..]
                .iter()
                .map(|list| [list[0], list[1], list[2], list[3]])
                .collect(),
        })
    }
}

impl From<ZMatrix> for Vec<Vec<usize>> {
    fn from(z_matrix: ZMatrix) -> Self {
        let ([first, second, third], [bond, angle]) = (z_matrix.seeds, z_matrix.third);
        let mut lists = vec![vec![first], vec![second, first], vec![third, bond, angle]];
        lists.extend(z_matrix.rows.into_iter().map(Vec::from));
        lists
    }
}

impl ZMatrix {
    /// Number of atoms.
    pub fn n_atoms(&self) -> usize {
        self.rows.len() + 3
    }

    /// The atoms that define the frame: the first at the origin, the second on +x, the third in the plane z = 0, y > 0.
    pub fn seeds(&self) -> [usize; 3] {
        self.seeds
    }

    /// Bond and angle reference of the third atom.
    pub(super) fn third(&self) -> [usize; 2] {
        self.third
    }

    /// The rows that have a torsion: atom, bond, angle and torsion reference.
    pub fn rows(&self) -> &[[usize; 4]] {
        &self.rows
    }

    /// Atom and axis (0 bond, 1 angle, 2 torsion) of each of the `3N - 6` coordinates, in the order of [`Self::measure`].
    pub(super) fn labels(&self) -> impl Iterator<Item = (usize, usize)> {
        let [_, second, third] = self.seeds;
        let first = [(second, 0), (third, 0), (third, 1)];
        first.into_iter().chain(
            self.rows
                .iter()
                .flat_map(|row| (0..3).map(|axis| (row[0], axis))),
        )
    }

    /// For each row: the first row that has the same bond and angle reference, if that is an earlier one. The torsions of
    /// both turn about the same bond.
    pub(super) fn leaders(&self) -> Vec<Option<usize>> {
        let mut first_about = HashMap::new();
        let leader = |(row, &[_, bond, angle, _]): (usize, &[usize; 4])| {
            let first = *first_about.entry([bond, angle]).or_insert(row);
            (first < row).then_some(first)
        };
        self.rows.iter().enumerate().map(leader).collect()
    }

    /// Bonds, angles and torsions `q` (`[3N - 6]`: the bond of the second atom, bond and angle of the third, bond, angle and
    /// torsion of each further one), and `log(prod r^2 prod sin(theta))`.
    pub(super) fn measure(&self, x: &[f64], q: &mut [f64]) -> Result<f64, Fault> {
        let [first, second, third] = self.seeds;
        q[0] = norm(sub(point(x, second), point(x, first)));
        if q[0] <= SMALLEST {
            return Err(Fault::Collapsed([first, second]));
        }
        let [bond, angle] = self.third;
        let origin = point(x, bond);
        let bend = Bend::measure(
            [third, bond, angle],
            sub(point(x, third), origin),
            sub(point(x, angle), origin),
        )?;
        (q[1], q[2]) = (bend.r, bend.theta);
        let mut log_volume = 2.0 * q[0].ln() + bend.log_volume();
        for (&[atom, bond, angle, torsion], q) in self.rows.iter().zip(q[3..].chunks_exact_mut(3)) {
            let origin = point(x, bond);
            let (u, v) = (sub(point(x, atom), origin), sub(point(x, angle), origin));
            let bend = Bend::measure([atom, bond, angle], u, v)?;
            let w = sub(point(x, torsion), point(x, angle));
            let normal = cross(w, v);
            if norm(normal) <= SMALLEST * norm(w) * norm(v) {
                return Err(Fault::Collinear([bond, angle, torsion]));
            }
            let sine = -norm(v) * dot(w, bend.normal);
            let torsion = torsion_of(sine, dot(normal, bend.normal));
            q.copy_from_slice(&[bend.r, bend.theta, torsion]);
            log_volume += bend.log_volume();
        }
        Ok(log_volume)
    }

    /// Positions of the coordinates `q` in the frame of the seeds, and `log(prod r^2 prod sin(theta))`, which is `-inf`
    /// where a bond or an angle is outside the domain; positions are then those of the nearest value inside.
    pub(super) fn place(&self, q: &[f64], x: &mut [f64]) -> f64 {
        let mut inside = true;
        let [first, second, third] = self.seeds;
        let r = clamp(q[0], f64::INFINITY, &mut inside);
        set_point(x, first, [0.0; 3]);
        set_point(x, second, [r, 0.0, 0.0]);
        let mut log_volume = 2.0 * r.ln();
        let bend = Bend::new(q[1], q[2], &mut inside);
        let along = bend.r * bend.cosine;
        let from_bond = if self.third[0] == first {
            along
        } else {
            r - along
        };
        set_point(x, third, [from_bond, bend.r * bend.sine, 0.0]);
        log_volume += bend.log_volume();
        for (&[atom, bond, angle, torsion], q) in self.rows.iter().zip(q[3..].chunks_exact(3)) {
            let bend = Bend::new(q[0], q[1], &mut inside);
            let (b, a) = (point(x, bond), point(x, angle));
            let (v, w) = (sub(a, b), sub(point(x, torsion), a));
            let e = scale(v, norm(v).recip());
            let across = cross(w, e);
            let width = norm(across);
            // Only a reference that is no chain of angles of this Z-matrix can get here; any perpendicular will do.
            let n = if width > SMALLEST * norm(w) {
                scale(across, width.recip())
            } else {
                inside = false;
                perpendicular(e)
            };
            let m = cross(e, n);
            let (sine, cosine) = q[2].sin_cos();
            let (along, radius) = (bend.r * bend.cosine, bend.r * bend.sine);
            let (on_m, on_n) = (radius * cosine, radius * sine);
            let at: Vector =
                std::array::from_fn(|k| b[k] + along * e[k] + on_m * m[k] + on_n * n[k]);
            set_point(x, atom, at);
            log_volume += bend.log_volume();
        }
        if inside {
            log_volume
        } else {
            f64::NEG_INFINITY
        }
    }

    /// The reverse pass of [`Self::place`] at positions `x` that it has placed, inside the domain:
    /// `d_q = (dx/dq)^T d_x + d log(prod r^2 prod sin(theta)) / dq`.
    ///
    /// From the last atom to the first, `d_x` of an atom (whole by then) is handed on to its references. The atom is at
    /// `p = b + s`, and `s` turns with the frame `e, n, m` of its references: where they turn the frame by `omega`, the scalar
    /// changes by `omega . (s x d_p)`, whose components along the frame (the torque) are all that is needed.
    pub(super) fn pull_back(&self, x: &[f64], d_x: &mut [f64], d_q: &mut [f64]) {
        for (&[atom, bond, angle, torsion], d_q) in
            self.rows.iter().zip(d_q[3..].chunks_exact_mut(3)).rev()
        {
            let (b, a) = (point(x, bond), point(x, angle));
            let (s, v, w) = (sub(point(x, atom), b), sub(a, b), sub(point(x, torsion), a));
            let inverse_length = norm(v).recip();
            let e = scale(v, inverse_length);
            let across = cross(w, e);
            let inverse_width = norm(across).recip();
            let n = scale(across, inverse_width);
            let m = cross(e, n);

            let d_p = point(d_x, atom);
            let (along, on_n, on_m) = (dot(s, e), dot(s, n), dot(s, m));
            let inverse_radius = on_n.hypot(on_m).recip();
            let torque = cross(s, d_p);
            let [about_e, about_n, about_m] = [e, n, m].map(|axis| dot(torque, axis));
            let square = dot(s, s);
            d_q[0] = (dot(d_p, s) + 2.0) / square.sqrt();
            d_q[1] = (on_n * about_m - on_m * about_n + along) * inverse_radius;
            // Torsions turn m towards n, hence clockwise about e.
            d_q[2] = -about_e;

            // v turns e towards n and m, and with w the frame about e, as n stays perpendicular to both.
            let d_w = scale(n, -about_e * inverse_width);
            let turn_m = about_m + about_e * inverse_width * dot(w, e);
            let d_v: Vector =
                std::array::from_fn(|k| inverse_length * (turn_m * n[k] - about_n * m[k]));
            add_point(d_x, bond, sub(d_p, d_v));
            add_point(d_x, angle, sub(d_v, d_w));
            add_point(d_x, torsion, d_w);
        }
        let [first, second, third] = self.seeds;
        let [bond, angle] = self.third.map(|atom| point(x, atom)[0]);
        let [on_x, on_y, _] = sub(point(x, third), [bond, 0.0, 0.0]);
        let [d_x_third, d_y_third, _] = point(d_x, third);
        // The angle is measured from +x at the first atom, from -x at the second.
        let side = (angle - bond).signum();
        d_q[1] = (d_x_third * on_x + d_y_third * on_y + 2.0) / on_x.hypot(on_y);
        d_q[2] = side * (d_y_third * on_x - d_x_third * on_y + on_x / on_y);
        let carried = if self.third[0] == first {
            0.0
        } else {
            d_x_third
        };
        d_q[0] = d_x[3 * second] + carried + 2.0 / x[3 * second];
    }
}

/// One bond and its angle.
struct Bend {
    r: f64,
    theta: f64,
    sine: f64,
    cosine: f64,
    /// Bond times angle reference, both from the bond's other end.
    normal: Vector,
}

impl Bend {
    fn measure(atoms: [usize; 3], u: Vector, v: Vector) -> Result<Self, Fault> {
        let [atom, bond, angle] = atoms;
        let (r, length) = (norm(u), norm(v));
        if r <= SMALLEST {
            return Err(Fault::Collapsed([atom, bond]));
        }
        if length <= SMALLEST {
            return Err(Fault::Collapsed([angle, bond]));
        }
        let normal = cross(u, v);
        let (sine, cosine) = (norm(normal) / (r * length), dot(u, v) / (r * length));
        if sine <= SMALLEST {
            return Err(Fault::Collinear(atoms));
        }
        Ok(Self {
            r,
            theta: sine.atan2(cosine),
            sine,
            cosine,
            normal,
        })
    }

    fn new(r: f64, theta: f64, inside: &mut bool) -> Self {
        let r = clamp(r, f64::INFINITY, inside);
        let theta = clamp(theta, std::f64::consts::PI - SMALLEST, inside);
        let (sine, cosine) = theta.sin_cos();
        Self {
            r,
            theta,
            sine,
            cosine,
            normal: [0.0; 3],
        }
    }

    fn log_volume(&self) -> f64 {
        (self.r * self.r * self.sine).ln()
    }
}

/// The nearest value above [`SMALLEST`] and below `upper`; clears `inside` if that is another, or the value is NaN.
fn clamp(value: f64, upper: f64, inside: &mut bool) -> f64 {
    *inside &= value > SMALLEST && value < upper;
    value.max(SMALLEST).min(upper)
}

fn perpendicular(e: Vector) -> Vector {
    let least = (0..3).fold(0, |least, axis| {
        if e[axis].abs() < e[least].abs() {
            axis
        } else {
            least
        }
    });
    let mut other = [0.0; 3];
    other[least] = 1.0;
    let across = cross(e, other);
    scale(across, norm(across).recip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ZMatrix, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn invalid_rows_are_refused_with_the_row() {
        let valid = "[[1],[0,1],[2,1,0],[3,2,1,0]]";
        assert_eq!(
            serde_json::to_string(&parse(valid).unwrap()).unwrap(),
            valid
        );
        for (rows, message) in [
            ("[[0],[1,0]]", "2 rows; at least 3"),
            ("[[0],[1,0],[2,1]]", "row 2 has 2 numbers instead of 3"),
            ("[[0],[1,0],[1,0,2]]", "row 2 places atom 1 a second time"),
            (
                "[[0],[1,0],[3,1,0]]",
                "row 2 places atom 3, but 3 rows must place the atoms 0 to 2",
            ),
            (
                "[[0],[1,0],[2,1,0],[3,2,1,3]]",
                "row 3 (atom 3) refers to atom 3, which no earlier row places",
            ),
            (
                "[[0],[1,0],[2,1,0],[3,2,1,99]]",
                "row 3 (atom 3) refers to atom 99, which no earlier row places",
            ),
            (
                "[[0],[1,0],[2,1,0],[3,2,1,2]]",
                "row 3 (atom 3) refers to atom 2 twice",
            ),
        ] {
            let error = parse(rows).unwrap_err();
            assert!(error.contains(message), "{rows}: {error}");
        }
    }

    /// Both ways in which a third atom can hang on the first two, and the sign of a torsion (IUPAC: clockwise is positive when
    /// looking along the middle bond).
    #[test]
    fn placement_follows_the_definitions() {
        let x = [0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.13, 0.12, 0.0, 0.2, 0.2, 0.1];
        for rows in [
            "[[0],[1,0],[2,1,0],[3,2,1,0]]",
            "[[0],[1,0],[2,0,1],[3,2,0,1]]",
        ] {
            let z_matrix = parse(rows).unwrap();
            let (mut q, mut back) = ([0.0; 6], [0.0; 12]);
            let volume = z_matrix.measure(&x, &mut q).unwrap();
            let placed = z_matrix.place(&q, &mut back);
            assert!((volume - placed).abs() < 1e-14);
            assert!(
                x.iter().zip(back).all(|(x, back)| (x - back).abs() < 1e-15),
                "{back:?}"
            );
        }
        // A far atom to the viewer's right (+y seen along +x, z up, is to the left), so counterclockwise: negative.
        let quarter = [0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.1, 0.1, 0.0];
        let mut q = [0.0; 6];
        parse("[[0],[1,0],[2,1,0],[3,2,1,0]]")
            .unwrap()
            .measure(&quarter, &mut q)
            .unwrap();
        assert!(
            (q[5] + std::f64::consts::FRAC_PI_2).abs() < 1e-15,
            "{}",
            q[5]
        );
    }

    #[test]
    fn degenerate_configurations_are_named_and_features_outside_the_domain_flagged() {
        let z_matrix = parse("[[0],[1,0],[2,1,0],[3,2,1,0]]").unwrap();
        let mut q = [0.0; 6];
        let x = [0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.2, 0.0, 0.0, 0.2, 0.2, 0.1];
        assert_eq!(
            z_matrix.measure(&x, &mut q),
            Err(Fault::Collinear([2, 1, 0]))
        );
        let x = [0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.2, 0.1, 0.0, 0.2, 0.1, 0.0];
        assert_eq!(z_matrix.measure(&x, &mut q), Err(Fault::Collapsed([3, 2])));
        let valid = [0.1, 0.1, 1.9, 0.1, 1.9, 3.0];
        let mut x = [0.0; 12];
        assert!(z_matrix.place(&valid, &mut x).is_finite());
        for (k, value) in [
            (0, -0.1),
            (1, 0.0),
            (2, 3.2),
            (3, -0.05),
            (4, -0.1),
            (4, f64::NAN),
        ] {
            let mut q = valid;
            q[k] = value;
            assert_eq!(z_matrix.place(&q, &mut x), f64::NEG_INFINITY);
            assert!(x.iter().all(|x| x.is_finite()));
        }
    }
}
