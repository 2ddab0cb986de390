//! One sequence: what it needs next, and what becomes of the answers. Pure; knows neither device nor neighbours.

use std::{fmt, ops::Range, sync::Arc};

use latentd_nn::{
    form::{self, Form},
    logits::{Answer, Choice, Draw, Question},
    tokenizer::Tokenizer,
};

use super::{Finish, Sampling, TokenScore};

/// What a sequence is for.
#[derive(Clone, Debug)]
pub(crate) enum Goal {
    /// To go on.
    Generate {
        /// Longest answer; at least 1.
        max_new: usize,
        sampling: Sampling,
        stop: Vec<u32>,
        /// What holds the answer to its form.
        held: Option<Held>,
    },
    /// To score its tokens from `from` on, which is at least 1.
    Score { from: usize },
}

/// An answer that is held to a form, as far as it has come.
#[derive(Clone)]
pub(crate) struct Held {
    form: form::Progress,
    tokenizer: Arc<Tokenizer>,
}

impl Held {
    pub(crate) fn new(form: &Form, tokenizer: &Arc<Tokenizer>) -> Self {
        Self {
            form: form.start(),
            tokenizer: Arc::clone(tokenizer),
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Held").field(&self.form).finish()
    }
}

/// A sequence as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) ids: Vec<u32>,
    pub(crate) goal: Goal,
    pub(crate) top: usize,
}

/// A sequence at its end.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) ids: Vec<u32>,
    pub(crate) scores: Vec<TokenScore>,
    pub(crate) finish: Finish,
}

impl Task {
    /// Tokens that its past must have room for: the last one has none behind it.
    pub(crate) fn capacity(&self) -> usize {
        match &self.goal {
            Goal::Generate { max_new, .. } => self.ids.len() + max_new.saturating_sub(1),
            Goal::Score { .. } => self.ids.len().saturating_sub(1),
        }
    }

    /// Tokens at its front behind which nothing is asked: they may be taken over from another sequence.
    pub(crate) fn unasked(&self) -> &[u32] {
        let count = match &self.goal {
            Goal::Generate { .. } => self.ids.len().saturating_sub(1),
            Goal::Score { from } => from.saturating_sub(1),
        };
        self.ids.get(..count).unwrap_or_default()
    }
}

/// A sequence on its way.
#[derive(Debug)]
pub(crate) struct Progress {
    task: Task,
    /// Tokens of the prompt.
    given: usize,
    scores: Vec<TokenScore>,
}

/// What a sequence needs next: these of its tokens, and the answers to these questions.
#[derive(Debug, PartialEq)]
pub(crate) struct Piece {
    pub(crate) tokens: Range<usize>,
    pub(crate) questions: Vec<Question>,
}

impl Progress {
    pub(crate) fn new(task: Task) -> Self {
        Self {
            given: task.ids.len(),
            task,
            scores: Vec::new(),
        }
    }

    pub(crate) fn task(&self) -> &Task {
        &self.task
    }

    /// Its tokens so far.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.task.ids
    }

    /// Tokens that it has had in all.
    pub(crate) fn tokens(&self) -> usize {
        self.task.ids.len()
    }

    /// Tokens that are to be computed, those that have been included.
    fn end(&self) -> usize {
        match self.task.goal {
            Goal::Generate { .. } => self.task.ids.len(),
            Goal::Score { .. } => self.task.ids.len().saturating_sub(1),
        }
    }

    /// Tokens that wait to be computed when `computed` have been.
    pub(crate) fn waiting(&self, computed: usize) -> usize {
        self.end().saturating_sub(computed)
    }

    /// The next piece of at most `most` tokens.
    pub(crate) fn piece(&self, computed: usize, most: usize) -> Piece {
        let tokens = computed..self.end().min(computed.saturating_add(most));
        let top = self.task.top;
        let questions = match &self.task.goal {
            Goal::Generate { sampling, held, .. } if tokens.end == self.end() => {
                let allowed = held.as_ref();
                vec![Question {
                    row: tokens.len().saturating_sub(1),
                    choice: choice(*sampling, self.scores.len()),
                    top,
                    allowed: allowed.map(|held| held.form.allowed(&held.tokenizer)),
                }]
            }
            Goal::Generate { .. } => Vec::new(),
            Goal::Score { from } => {
                let first = tokens.start.max(from - 1);
                let targets = self.task.ids.iter().skip(first + 1);
                (first..tokens.end)
                    .zip(targets)
                    .map(|(token, &id)| Question {
                        row: token - tokens.start,
                        choice: Choice::Given(id),
                        top,
                        allowed: None,
                    })
                    .collect()
            }
        };
        Piece { tokens, questions }
    }

    /// Takes the answers to a piece's questions; says why if this is the end.
    pub(crate) fn read(&mut self, answers: Vec<Answer>) -> Option<Finish> {
        for Answer { id, logprob, top } in answers {
            let score = TokenScore { logprob, top };
            match &mut self.task.goal {
                Goal::Score { .. } => self.scores.push(score),
                Goal::Generate { stop, .. } if stop.contains(&id) => return Some(Finish::Stop),
                Goal::Generate { max_new, held, .. } => {
                    // What is not of the form ends answers: it was allowed for that alone.
                    let held = held.as_mut();
                    let state = held.map(|held| {
                        let fits = held.form.advance(&held.tokenizer, id);
                        (fits, held.form.is_over())
                    });
                    if let Some((false, _)) = state {
                        return Some(Finish::Stop);
                    }
                    self.scores.push(score);
                    self.task.ids.push(id);
                    if let Some((_, true)) = state {
                        return Some(Finish::Stop);
                    }
                    if self.scores.len() >= *max_new {
                        return Some(Finish::Length);
                    }
                }
            }
        }
        match self.task.goal {
            Goal::Score { from } if self.scores.len() >= self.given - from => Some(Finish::Length),
            Goal::Score { .. } | Goal::Generate { .. } => None,
        }
    }

    /// What came of it.
    pub(crate) fn done(mut self, finish: Finish) -> Done {
        Done {
            ids: self.task.ids.split_off(self.given),
            scores: self.scores,
            finish,
        }
    }
}

/// How token number `made` of an answer is chosen.
fn choice(sampling: Sampling, made: usize) -> Choice {
    let Sampling {
        temperature,
        top_p,
        seed,
    } = sampling;
    if temperature > 0.0 {
        let top_p = if top_p > 0.0 { top_p } else { 1.0 };
        Choice::Drawn(Draw {
            temperature,
            top_p,
            uniform: uniform(seed, made as u64),
        })
    } else {
        Choice::Likeliest
    }
}

/// A number in `0..1` that follows from a seed and a count alone: SplitMix64 (Steele, Lea and Flood 2014), once for the seed and
/// once for the count, so that neighbouring seeds have nothing in common.
fn uniform(seed: u64, count: u64) -> f64 {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = mix(mix(seed.wrapping_add(GAMMA)).wrapping_add(count.wrapping_mul(GAMMA)));
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: u32) -> Answer {
        Answer {
            id,
            logprob: -1.0,
            top: Vec::new(),
        }
    }

    fn generate(prompt: &[u32], max_new: usize) -> Progress {
        Progress::new(Task {
            ids: prompt.to_vec(),
            goal: Goal::Generate {
                max_new,
                sampling: Sampling::default(),
                stop: vec![9],
                held: None,
            },
            top: 2,
        })
    }

    #[test]
    fn a_prompt_comes_in_pieces_and_is_asked_at_its_end() {
        let mut progress = generate(&[1, 2, 3, 4, 5], 2);
        assert_eq!(progress.task().capacity(), 6);
        let first = progress.piece(0, 3);
        assert_eq!((first.tokens, first.questions.len()), (0..3, 0));
        let second = progress.piece(3, 3);
        assert_eq!(second.tokens, 3..5);
        assert_eq!(second.questions[0].row, 1);
        assert_eq!(progress.read(vec![answer(7)]), None);
        assert_eq!(
            (progress.waiting(5), progress.piece(5, 3).tokens),
            (1, 5..6)
        );
        assert_eq!(progress.read(vec![answer(8)]), Some(Finish::Length));
        let done = progress.done(Finish::Length);
        assert_eq!((done.ids, done.scores.len()), (vec![7, 8], 2));
    }

    #[test]
    fn what_ends_an_answer_is_no_part_of_it() {
        let mut progress = generate(&[1], 10);
        assert_eq!(progress.read(vec![answer(7)]), None);
        assert_eq!(progress.read(vec![answer(9)]), Some(Finish::Stop));
        assert_eq!(progress.done(Finish::Stop).ids, [7]);
    }

    #[test]
    fn scores_are_asked_from_the_token_before() {
        let task = Task {
            ids: vec![10, 11, 12, 13, 14, 15],
            goal: Goal::Score { from: 3 },
            top: 0,
        };
        assert_eq!((task.capacity(), task.unasked()), (5, &[10, 11][..]));
        let mut progress = Progress::new(task);
        let asked = |piece: Piece| -> Vec<(usize, Choice)> {
            let one = |question: &Question| (question.row, question.choice);
            piece.questions.iter().map(one).collect()
        };
        assert_eq!(asked(progress.piece(0, 2)), []);
        assert_eq!(
            asked(progress.piece(1, 3)),
            [(1, Choice::Given(13)), (2, Choice::Given(14))]
        );
        assert_eq!(progress.piece(4, 99).tokens, 4..5);
        assert_eq!(progress.read(vec![answer(13), answer(14)]), None);
        assert_eq!(progress.read(vec![answer(15)]), Some(Finish::Length));
        let whole = Progress::new(Task {
            ids: vec![1, 2],
            goal: Goal::Score { from: 1 },
            top: 0,
        });
        assert_eq!(asked(whole.piece(0, 9)), [(0, Choice::Given(2))]);
    }

    #[test]
    fn draws_differ_by_seed_and_count_and_repeat() {
        let all: Vec<f64> = (0..20)
            .flat_map(|seed| (0..50).map(move |count| uniform(seed, count)))
            .collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        assert!((mean - 0.5).abs() < 0.05, "{mean}");
        assert!(all.iter().all(|u| (0.0..1.0).contains(u)));
        let mut sorted = all.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.dedup();
        assert_eq!(sorted.len(), all.len());
        assert_eq!(uniform(3, 4), uniform(3, 4));
    }
}
