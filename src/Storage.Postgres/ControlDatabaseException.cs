namespace CdcOrleans.Storage.Postgres;

/// <summary>The control database cannot be used. The message names the server, the database, the user and the remedy, never the password.</summary>
public sealed class ControlDatabaseException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">What is wrong, and the remedy.</param>
    /// <param name="innerException">What the driver said; null when there is no more to say.</param>
    public ControlDatabaseException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
