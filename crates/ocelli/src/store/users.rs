//! Storage of users and their roles. Only the hash of a password is stored.

use super::error::StoreError;
use crate::auth::{Allowance, Grant, Role};
use rusqlite::{Connection, OptionalExtension, Row};

/// A user account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id, `usr_…`.
    pub id: String,
    /// The sign-in name.
    pub name: String,
    /// The roles and their apps; `None` for all apps.
    pub roles: Vec<(Option<String>, Role)>,
    /// Whether the user has set a password.
    pub has_password: bool,
    /// Creation time in ms since the Unix epoch.
    pub created: i64,
}

impl User {
    /// The permissions of all roles.
    pub fn grant(&self) -> Grant {
        let roles = self.roles.iter();
        Grant::new(roles.map(|(app, role)| -> Allowance { role.allowance(app.clone()) }))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get("id")?,
        name: row.get("name")?,
        roles: Vec::new(),
        has_password: row.get::<_, Option<String>>("password")?.is_some(),
        created: row.get("created")?,
    })
}

fn with_roles(connection: &Connection, mut user: User) -> Result<User, StoreError> {
    let mut query =
        connection.prepare_cached("SELECT app, role FROM role WHERE user = ?1 ORDER BY app")?;
    let mut rows = query.query([&user.id])?;
    while let Some(row) = rows.next()? {
        let role: String = row.get("role")?;
        // Roles of later versions are ignored.
        if let Some(role) = Role::parse(&role) {
            user.roles.push((row.get("app")?, role));
        }
    }
    Ok(user)
}

/// All users, ordered by name.
///
/// # Errors
/// The file can't be read.
pub fn all(connection: &Connection) -> Result<Vec<User>, StoreError> {
    let mut query = connection.prepare_cached("SELECT * FROM user ORDER BY name")?;
    let users: Vec<_> = query.query_map([], read)?.collect::<Result<_, _>>()?;
    let users = users.into_iter();
    users.map(|user| with_roles(connection, user)).collect()
}

/// Whether any user exists.
///
/// # Errors
/// The file can't be read.
pub fn any(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.query_row("SELECT EXISTS (SELECT 1 FROM user)", [], |row| row.get(0))?)
}

/// The user of this id.
///
/// # Errors
/// The file can't be read.
pub fn by_id(connection: &Connection, id: &str) -> Result<Option<User>, StoreError> {
    let mut query = connection.prepare_cached("SELECT * FROM user WHERE id = ?1")?;
    let user = query.query_row([id], read).optional()?;
    user.map(|user| with_roles(connection, user)).transpose()
}

/// The user of this name.
///
/// # Errors
/// The file can't be read.
pub fn by_name(connection: &Connection, name: &str) -> Result<Option<User>, StoreError> {
    let mut query = connection.prepare_cached("SELECT * FROM user WHERE name = ?1")?;
    let user = query.query_row([name], read).optional()?;
    user.map(|user| with_roles(connection, user)).transpose()
}

/// The password hash of the user of this id, if set.
///
/// # Errors
/// The file can't be read.
pub fn password(connection: &Connection, id: &str) -> Result<Option<String>, StoreError> {
    let mut query = connection.prepare_cached("SELECT password FROM user WHERE id = ?1")?;
    Ok(query
        .query_row([id], |row| row.get(0))
        .optional()?
        .flatten())
}

/// Adds a user without a password.
///
/// # Errors
/// The name is taken.
pub fn insert(connection: &Connection, user: &User) -> Result<(), StoreError> {
    connection.execute(
        "INSERT INTO user (id, name, created) VALUES (?1, ?2, ?3)",
        (&user.id, &user.name, user.created),
    )?;
    set_roles(connection, user)
}

/// Updates the name and the roles. If the roles change, pending one-time codes of the user are
/// deleted, because they were issued for the earlier roles.
///
/// # Errors
/// The name is taken, the id is unknown, or no administrator would be left.
pub fn update(connection: &mut Connection, user: &User) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    let had_admin = has_admin(&transaction)?;
    let before = by_id(&transaction, &user.id)?.ok_or_else(missing)?;
    transaction.execute(
        "UPDATE user SET name = ?2 WHERE id = ?1",
        (&user.id, &user.name),
    )?;
    if before.grant() != user.grant() {
        transaction.execute("DELETE FROM code WHERE user = ?1", [&user.id])?;
    }
    set_roles(&transaction, user)?;
    check_admin_left(&transaction, had_admin)?;
    Ok(transaction.commit()?)
}

/// The error for an unknown user id.
pub fn missing() -> StoreError {
    StoreError::Missing("there is no user with this id".to_owned())
}

/// Replaces the user's roles.
///
/// # Errors
/// The file can't be written.
pub fn set_roles(connection: &Connection, user: &User) -> Result<(), StoreError> {
    connection.execute("DELETE FROM role WHERE user = ?1", [&user.id])?;
    for (app, role) in &user.roles {
        connection.execute(
            "INSERT INTO role (user, app, role) VALUES (?1, ?2, ?3)",
            (&user.id, app, role.name()),
        )?;
    }
    Ok(())
}

/// Stores a password hash. Deletes the user's sessions except `current`, and the user's one-time
/// codes.
///
/// # Errors
/// The file can't be written.
pub fn set_password(
    connection: &Connection,
    id: &str,
    password: &str,
    current: Option<&str>,
) -> Result<(), StoreError> {
    connection.execute(
        "UPDATE user SET password = ?2 WHERE id = ?1",
        (id, password),
    )?;
    connection.execute(
        "DELETE FROM session WHERE user = ?1 AND id IS NOT ?2",
        (id, current),
    )?;
    connection.execute("DELETE FROM code WHERE user = ?1", [id])?;
    Ok(())
}

/// Deletes a user with the user's sessions and wall links.
///
/// # Errors
/// The id is unknown, or no administrator would be left.
pub fn delete(connection: &mut Connection, id: &str) -> Result<(), StoreError> {
    let transaction = connection.transaction()?;
    let had_admin = has_admin(&transaction)?;
    transaction.execute("DELETE FROM wall WHERE maker = ?1", [id])?;
    if transaction.execute("DELETE FROM user WHERE id = ?1", [id])? == 0 {
        return Err(missing());
    }
    check_admin_left(&transaction, had_admin)?;
    Ok(transaction.commit()?)
}

/// Whether any user is an administrator of all apps.
fn has_admin(connection: &Connection) -> Result<bool, StoreError> {
    Ok(connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM role WHERE app IS NULL AND role = 'admin')",
        [],
        |row| row.get(0),
    )?)
}

/// Checks that an administrator of all apps is left if there was one. A hub that is administered
/// with a token needs none.
fn check_admin_left(connection: &Connection, had: bool) -> Result<(), StoreError> {
    if !had || has_admin(connection)? {
        return Ok(());
    }
    let message = "this is the last administrator of all apps; add another one first";
    Err(StoreError::Conflict(message.to_owned()))
}
