-- Scores that grade a latent itself, to be shown with the explanations that the same job made or found for it.
create index score_of_latent on score (job_id, latent) where explanation_id is null;
