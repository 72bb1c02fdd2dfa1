namespace CdcOrleans.Capture.Postgres.Replication;

/// <summary>Relation: the columns of a table as they were for the changes that follow.</summary>
internal sealed record RelationMessage
{
    public required uint Oid { get; init; }

    public required string Schema { get; init; }

    public required string Name { get; init; }

    public required ReplicaIdentity Identity { get; init; }

    public required IReadOnlyList<RelationColumn> Columns { get; init; }

    /// <summary>The names of types that the log has had so far, by OID; of a domain the name of its base type.</summary>
    public IReadOnlyDictionary<uint, TypeName> TypeNames { get; init; } = new Dictionary<uint, TypeName>();

    public static RelationMessage Read(ref WireReader reader)
    {
        var oid = reader.UInt32();
        var schema = reader.Text();
        var name = reader.Text();
        var identity = (ReplicaIdentity)reader.Byte();
        var columns = new RelationColumn[reader.Int16()];
        for (var i = 0; i < columns.Length; i++)
            columns[i] = new RelationColumn((reader.Byte() & 1) != 0, reader.Text(), reader.UInt32(), reader.Int32());
        return new RelationMessage
        {
            Oid = oid,
            // The server sends an empty name for the schema pg_catalog.
            Schema = schema.Length == 0 ? "pg_catalog" : schema,
            Name = name,
            Identity = identity,
            Columns = columns,
        };
    }
}

/// <summary>A column of a relation message.</summary>
/// <param name="InIdentity">Whether it is part of the replica identity.</param>
/// <param name="Name">Its name.</param>
/// <param name="TypeOid">OID of its type, or of the domain.</param>
/// <param name="TypeModifier">Its type modifier.</param>
internal readonly record struct RelationColumn(bool InIdentity, string Name, uint TypeOid, int TypeModifier);

/// <summary>The name of a type in the log.</summary>
/// <param name="Schema">Its schema; empty for <c>pg_catalog</c>.</param>
/// <param name="Name">Its name.</param>
internal readonly record struct TypeName(string Schema, string Name)
{
    /// <summary>Whether it is one of the server's own types, which are never dropped.</summary>
    public bool IsBuiltIn => Schema.Length == 0;

    /// <summary>The name as the catalog prints it to our sessions.</summary>
    public string Text => IsBuiltIn ? Name : $"{Quoted(Schema)}.{Quoted(Name)}";

    private static string Quoted(string name) =>
        name.All(c => c is (>= 'a' and <= 'z') or '_' or (>= '0' and <= '9')) && !char.IsAsciiDigit(name[0]) ? name : Sql.Name(name);
}

/// <summary>The replica identity of a table: which columns of old rows the log has.</summary>
internal enum ReplicaIdentity : byte
{
    /// <summary>The primary key.</summary>
    Default = (byte)'d',

    /// <summary>Nothing.</summary>
    Nothing = (byte)'n',

    /// <summary>The whole row.</summary>
    Full = (byte)'f',

    /// <summary>A unique index.</summary>
    Index = (byte)'i',
}
