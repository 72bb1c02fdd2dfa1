using CdcOrleans.Model.Changes;
using Npgsql;

namespace CdcOrleans.Storage.Postgres;

/// <summary>Reads versions, which are stored in two columns: the LSN of the commit, as a byte offset, and the ordinal.</summary>
internal static class StoredVersion
{
    /// <summary>Returns the version in a column and the next one.</summary>
    public static ChangeVersion GetVersion(this NpgsqlDataReader reader, int column) =>
        new(new Lsn((ulong)reader.GetInt64(column)), reader.GetInt64(column + 1));
}
