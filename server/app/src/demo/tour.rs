//! What to try after the demonstration, as arguments of this program.

/// Commands over a latent and the cache that it was shown from. Each is a list of arguments.
pub fn commands(sae: &str, latent: u32, cache: &str) -> Vec<Vec<String>> {
    let latent = latent.to_string();
    let explain = ["explain", sae, "--latents", &latent, "--cache", cache];
    let commands: [&[&str]; 5] = [
        &["encode", "--sae", sae, "The capital of France is Paris"],
        &[
            "examples", "--sae", sae, "--cache", cache, "--mode", "quantile", &latent,
        ],
        &["cache", "stats", cache, "--sort", "max"],
        &[&explain[..], &["--explainer", "top-tokens"]].concat(),
        &[
            &explain[..],
            &["--provider", "local", "--scorer", "detection"],
            &["--n-test", "10", "--n-non-activating", "10"],
        ]
        .concat(),
    ];
    let owned = |command: &&[&str]| command.iter().map(ToString::to_string).collect();
    commands.iter().map(owned).collect()
}
