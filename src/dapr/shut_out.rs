//! Whether daprd will be able to open the sockets. A daprd that may not says nothing: it
//! tries again without a limit until its liveness probe ends it, so this says it.

use std::path::Path;

use crate::doctor::{User, shut_out};

/// Who daprd is, as far as this process knows.
#[derive(Clone, Debug)]
pub enum Daprd {
    /// As it was told.
    Told(User),
    /// In this process's pod, and as its image has it unless the pod says otherwise.
    InPod,
    /// Nothing is known: on a developer's machine mostly the same user.
    Unknown,
}

/// Warns, in one line, of the first socket that daprd may not open.
pub fn warn(folder: &Path, names: &[String], daprd: &Daprd) {
    if let Some(warning) = warning(folder, names, daprd) {
        tracing::warn!("{warning}");
    }
}

fn warning(folder: &Path, names: &[String], daprd: &Daprd) -> Option<String> {
    let user = match daprd {
        Daprd::Told(user) => user.clone(),
        Daprd::InPod => User::of_daprds_image(folder),
        Daprd::Unknown => return None,
    };
    let mut sockets = names.iter().map(|name| folder.join(format!("{name}.sock")));
    let finding = sockets.find_map(|socket| shut_out(&user, &socket))?;
    let (code, cause) = (finding.row.code, &finding.cause);
    let fix = match daprd {
        Daprd::InPod => format!(
            "give this container runAsUser and runAsGroup {id}, or the pod an fsGroup; if the pod \
             runs daprd as another user than its image's, name that with --daprd-user",
            id = user.id
        ),
        Daprd::Told(_) | Daprd::Unknown => finding.fix.line(),
    };
    Some(format!(
        "{code}: {cause}; daprd would wait for it in silence, until its liveness probe ends it. \
         Fix: {fix}"
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::{fs::PermissionsExt as _, net::UnixListener};

    use super::*;

    #[test]
    fn it_is_told_only_where_something_is_known_of_daprd() {
        let folder = tempfile::tempdir().expect("a folder");
        let set = |path: &Path, mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(path, mode).expect("it is ours");
        };
        set(folder.path(), 0o755);
        let socket = folder.path().join("rdkafka.sock");
        let _listener = UnixListener::bind(&socket).expect("bound");
        set(&socket, 0o600);
        let warned = |daprd| warning(folder.path(), &["rdkafka".to_owned()], &daprd);
        assert_eq!(warned(Daprd::Unknown), None);
        let told = Daprd::Told("12345:54321".parse().expect("a user"));
        let text = warned(told.clone()).expect("closed");
        for part in [
            "RDK-DAPR-04",
            "12345",
            "rdkafka.sock",
            "mode 600",
            "--socket-group 54321",
        ] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        let text = warned(Daprd::InPod).expect("closed");
        assert!(
            text.contains("runAsUser") && text.contains("--daprd-user"),
            "{text}"
        );
        set(&socket, 0o666);
        assert_eq!((warned(told), warned(Daprd::InPod)), (None, None));
    }
}
