//! Permissions, and what tokens and roles grant of them.

use ocelli_config::nearest;

/// Every permission there is. `kind:*` is all of a kind, `*` is all.
pub const PERMISSIONS: &[&str] = &[
    "app:create",
    "app:delete",
    "app:read",
    "app:write",
    "camera:create",
    "camera:delete",
    "camera:read",
    "camera:share",
    "camera:write",
    "ingress:create",
    "ingress:delete",
    "ingress:read",
    "series:delete",
    "series:read",
    "series:write",
    "session:delete",
    "session:read",
    "stream:read",
    "stream:stop",
    "token:create",
    "token:delete",
    "token:read",
    "user:create",
    "user:delete",
    "user:read",
    "user:write",
];

/// What a token has when nobody says otherwise: all but giving out tokens.
const USUAL: &[&str] = &["app:*", "camera:*", "ingress:*", "series:*", "stream:*"];

fn kind(permission: &str) -> &str {
    permission.split(':').next().unwrap_or(permission)
}

/// A permission, or with a star several.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission(String);

impl Permission {
    /// Reads one.
    pub fn parse(text: &str) -> Option<Self> {
        let all_of_kind = || {
            let kind_of = text.strip_suffix(":*")?;
            PERMISSIONS.iter().find(|known| kind(known) == kind_of)
        };
        let known = text == "*" || PERMISSIONS.contains(&text) || all_of_kind().is_some();
        known.then(|| Self(text.to_owned()))
    }

    /// Reads one that a person wrote.
    ///
    /// # Errors
    /// Says what it might have meant.
    pub fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| {
            let hint = match nearest(text, PERMISSIONS) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("there are *, and {}", PERMISSIONS.join(", ")),
            };
            format!("{text:?} is no permission; {hint}")
        })
    }

    /// As it is written.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// Whether it gives all that `wanted` is, which may itself have a star.
    fn covers(&self, wanted: &str) -> bool {
        let all_of_kind = self.0.strip_suffix(":*");
        self.0 == "*" || self.0 == wanted || all_of_kind.is_some_and(|own| own == kind(wanted))
    }
}

/// Permissions, and where they hold: what one token or one role gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// The one app that it is for; none: for all of them and the hub.
    pub app: Option<String>,
    /// What may be done there.
    pub permissions: Vec<Permission>,
}

impl Allowance {
    /// These permissions, which are known to be some.
    fn of(app: Option<String>, permissions: &[&str]) -> Self {
        let permissions = permissions.iter().map(|&text| Permission(text.to_owned()));
        Self {
            app,
            permissions: permissions.collect(),
        }
    }

    /// What a token has when nobody says otherwise.
    pub fn usual(app: Option<String>) -> Self {
        Self::of(app, USUAL)
    }

    fn has(&self, permission: &str) -> bool {
        self.permissions.iter().any(|own| own.covers(permission))
    }

    fn reaches(&self, app: Option<&str>) -> bool {
        self.app.is_none() || self.app.as_deref() == app
    }
}

/// What a user is in an app, or in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May do everything there.
    Admin,
    /// Tends the cameras and their keys, and shares them.
    Operator,
    /// Watches, though playback is not public.
    Viewer,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 3] = [Role::Admin, Role::Operator, Role::Viewer];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::Operator => "operator",
            Role::Viewer => "viewer",
        }
    }

    /// The one of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// What it gives.
    fn permissions(self) -> &'static [&'static str] {
        match self {
            Role::Admin => &["*"],
            Role::Operator => &["app:read", "camera:*", "ingress:*", "series:*", "stream:*"],
            Role::Viewer => &["app:read", "camera:read", "series:read", "stream:read"],
        }
    }

    /// What it gives in an app, or everywhere.
    pub fn allowance(self, app: Option<String>) -> Allowance {
        Allowance::of(app, self.permissions())
    }
}

/// A permission is missing; says which, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied(pub String);

/// What somebody may do, and where: all that their token or their roles give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant(Vec<Allowance>);

impl Grant {
    /// These allowances together.
    pub fn new(allowances: impl IntoIterator<Item = Allowance>) -> Self {
        Self(allowances.into_iter().collect())
    }

    /// Everything, everywhere.
    pub fn everything() -> Self {
        Self::new([Allowance::of(None, &["*"])])
    }

    /// Takes what another gives as well.
    pub fn add(&mut self, other: Grant) {
        self.0.extend(other.0);
    }

    /// Whether it has a permission, wherever.
    pub fn has(&self, permission: &str) -> bool {
        self.0.iter().any(|own| own.has(permission))
    }

    /// Whether it has a permission in an app; without one, for all apps and the hub.
    pub fn allows(&self, permission: &str, app: Option<&str>) -> bool {
        let mut own = self.0.iter();
        own.any(|own| own.reaches(app) && own.has(permission))
    }

    /// What another gives that this does not: a permission, and the app if it is for one.
    pub fn lacks<'g>(&self, other: &'g Grant) -> Option<(&'g str, Option<&'g str>)> {
        let wanted = other.0.iter().flat_map(|wanted| {
            let permissions = wanted.permissions.iter();
            permissions.map(|permission| (permission.text(), wanted.app.as_deref()))
        });
        let mut missing = wanted.filter(|(permission, app)| !self.allows(permission, *app));
        missing.next()
    }

    /// Checks that it has a permission, in the app that is spoken of if there is one.
    ///
    /// # Errors
    /// Names the permission or the app.
    pub fn check(&self, permission: &str, app: Option<&str>) -> Result<(), Denied> {
        if !self.has(permission) {
            return Err(Denied(format!(
                "this needs the permission {permission:?}, which neither the token nor a role gives"
            )));
        }
        match app {
            Some(app) if !self.allows(permission, Some(app)) => Err(Denied(format!(
                "this needs the permission {permission:?} in app {app:?}; the token or the role \
                 gives it in another app alone"
            ))),
            _ => Ok(()),
        }
    }

    /// Checks that it has a permission for all apps and the hub.
    ///
    /// # Errors
    /// Names the permission.
    pub fn check_global(&self, permission: &str) -> Result<(), Denied> {
        if self.allows(permission, None) {
            return Ok(());
        }
        Err(Denied(format!(
            "this needs the permission {permission:?} in a global token or in a role for all \
             apps; here it is for one app alone"
        )))
    }

    /// Checks that it gives all that is to be given on.
    ///
    /// # Errors
    /// Names what it lacks.
    pub fn check_covers(&self, given: &Grant) -> Result<(), Denied> {
        let Some((permission, app)) = self.lacks(given) else {
            return Ok(());
        };
        let place = app.map_or_else(|| "all apps".to_owned(), |app| format!("app {app:?}"));
        Err(Denied(format!(
            "nobody gives what they do not have: this needs {permission:?} in {place}"
        )))
    }

    /// The permissions that it gives in an app; without one, for all apps and the hub.
    pub fn list(&self, app: Option<&str>) -> Vec<&'static str> {
        let all = PERMISSIONS.iter().copied();
        all.filter(|permission| self.allows(permission, app))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(permissions: &[&str]) -> Grant {
        let permissions = permissions.iter().map(|text| Permission::read(text));
        Grant::new([Allowance {
            app: None,
            permissions: permissions.collect::<Result<_, _>>().expect("permissions"),
        }])
    }

    #[test]
    fn several_roles_each_hold_in_their_own_app() {
        let roles = [(Role::Viewer, "yard"), (Role::Operator, "barn")];
        let grant = Grant::new(roles.map(|(role, app)| role.allowance(Some(app.to_owned()))));
        assert!(grant.has("camera:share"));
        for (permission, app, allowed) in [
            ("camera:read", Some("yard"), true),
            ("camera:share", Some("yard"), false),
            ("camera:share", Some("barn"), true),
            ("camera:read", Some("live"), false),
            ("camera:read", None, false),
        ] {
            assert_eq!(
                grant.allows(permission, app),
                allowed,
                "{permission} {app:?}"
            );
        }
        let operator = Grant::new([Role::Operator.allowance(None)]);
        assert_eq!(operator.lacks(&grant), None);
        assert_eq!(grant.lacks(&operator), Some(("app:read", None)));
        assert_eq!(operator.lacks(&Grant::everything()), Some(("*", None)));
        assert_eq!(
            grant.list(Some("yard")),
            ["app:read", "camera:read", "series:read", "stream:read"]
        );
        for role in Role::ALL {
            assert_eq!(Role::parse(role.name()), Some(role));
            for text in role.permissions() {
                assert!(Permission::parse(text).is_some(), "{text}");
            }
        }
        // Nobody but an admin gives out tokens, or tells other users what to do.
        for closed in ["token:create", "user:read", "session:read", "app:write"] {
            assert!(!operator.has(closed), "{closed}");
        }
    }

    #[test]
    fn stars_stand_for_all_of_a_kind() {
        let apps = grant(&["app:*", "stream:read"]);
        for has in ["app:read", "app:delete", "app:*", "stream:read"] {
            assert!(apps.has(has), "{has}");
        }
        for lacks in ["stream:stop", "stream:*", "token:read", "*", "apps:read"] {
            assert!(!apps.has(lacks), "{lacks}");
        }
        for permission in PERMISSIONS {
            assert!(Grant::everything().has(permission));
            assert!(Permission::parse(permission).is_some());
        }
        assert!(!Allowance::usual(None).has("token:create"));
    }

    #[test]
    fn what_is_no_permission_is_named() {
        for bad in [
            "",
            "app",
            "app:",
            ":*",
            "**",
            "app:read ",
            "App:read",
            "ap:*",
            "app:**",
        ] {
            assert!(Permission::read(bad).is_err(), "{bad}");
        }
        let said = Permission::read("app:raed").expect_err("no permission");
        assert!(said.contains("\"app:read\""), "{said}");
    }
}
